from .cluster import LocalAgent, LocalCluster

__all__ = ['LocalAgent', 'LocalCluster']
