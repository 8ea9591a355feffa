"""The messages of the v1 API, as far as requests hold them: fields, types, what must be there, what is always shown.

One line describes a message or an enum (a line that is indented goes on with the one before)::

    Name: field type, required! type, several [type], by_name {type}, always_shown type=default, one_of_them| type
    Name = NAMES OF AN ENUM

A type is a scalar of protobuf, or the name of a message or enum, looked up from the inside out as in a ``.proto``
(``Type`` in ``Volume.Source`` is ``Volume.Source.Type``, else ``Volume.Type``, else ``Type``; with a dot in front it
is the outermost). Fields stand in the order in which Mesos names the missing ones. Facts of Mesos 1.11, with one
liberty: ``ExecutorInfo.Container`` is ContainerInfo, but that its ``linux_info.share_cgroups`` has no default, since
an executor (and a container without a parent) may not set it to true and the check has to tell what was set.
"""
from __future__ import absolute_import, division, print_function

from collections import OrderedDict, namedtuple

__all__ = ['Field', 'Message', 'SCALARS', 'load']

SCALARS = frozenset(['bool', 'bytes', 'double', 'int32', 'int64', 'string', 'uint32', 'uint64'])

#: The scheduler API's calls.
_SCHEDULER = '''
scheduler.AttributeConstraint: selector! Selector, predicate! Predicate
scheduler.AttributeConstraint.Predicate: exists| Exists, not_exists| NotExists, text_equals| TextEquals,
    text_not_equals| TextNotEquals, text_matches| TextMatches, text_not_matches| TextNotMatches
scheduler.AttributeConstraint.Predicate.Exists:
scheduler.AttributeConstraint.Predicate.NotExists:
scheduler.AttributeConstraint.Predicate.TextEquals: value! string
scheduler.AttributeConstraint.Predicate.TextMatches: regex! string
scheduler.AttributeConstraint.Predicate.TextNotEquals: value! string
scheduler.AttributeConstraint.Predicate.TextNotMatches: regex! string
scheduler.AttributeConstraint.Selector: pseudoattribute_type| PseudoattributeType, attribute_name| string
scheduler.AttributeConstraint.Selector.PseudoattributeType = UNKNOWN HOSTNAME REGION ZONE
scheduler.Call: framework_id FrameworkID, type Type, subscribe Subscribe, accept Accept, decline Decline, kill Kill,
    shutdown Shutdown, acknowledge Acknowledge, reconcile Reconcile, message Message, request Request,
    accept_inverse_offers AcceptInverseOffers, decline_inverse_offers DeclineInverseOffers, revive Revive,
    suppress Suppress, acknowledge_operation_status AcknowledgeOperationStatus,
    reconcile_operations ReconcileOperations, update_framework UpdateFramework
scheduler.Call.Accept: offer_ids [OfferID], operations [Offer.Operation], filters Filters
scheduler.Call.AcceptInverseOffers: inverse_offer_ids [OfferID], filters Filters
scheduler.Call.Acknowledge: agent_id! AgentID, task_id! TaskID, uuid! bytes
scheduler.Call.AcknowledgeOperationStatus: agent_id AgentID, resource_provider_id ResourceProviderID, uuid! bytes,
    operation_id! OperationID
scheduler.Call.Decline: offer_ids [OfferID], filters Filters
scheduler.Call.DeclineInverseOffers: inverse_offer_ids [OfferID], filters Filters
scheduler.Call.Kill: task_id! TaskID, agent_id AgentID, kill_policy KillPolicy
scheduler.Call.Message: agent_id! AgentID, executor_id! ExecutorID, data! bytes
scheduler.Call.Reconcile: tasks [Task]
scheduler.Call.Reconcile.Task: task_id! TaskID, agent_id AgentID
scheduler.Call.ReconcileOperations: operations [Operation]
scheduler.Call.ReconcileOperations.Operation: operation_id! OperationID, agent_id AgentID,
    resource_provider_id ResourceProviderID
scheduler.Call.Request: requests [.Request]
scheduler.Call.Revive: roles [string]
scheduler.Call.Shutdown: executor_id! ExecutorID, agent_id! AgentID
scheduler.Call.Subscribe: framework_info! FrameworkInfo, suppressed_roles [string], offer_constraints OfferConstraints
scheduler.Call.Suppress: roles [string]
scheduler.Call.Type = UNKNOWN SUBSCRIBE TEARDOWN ACCEPT DECLINE ACCEPT_INVERSE_OFFERS DECLINE_INVERSE_OFFERS REVIVE
    KILL SHUTDOWN ACKNOWLEDGE ACKNOWLEDGE_OPERATION_STATUS RECONCILE RECONCILE_OPERATIONS MESSAGE REQUEST SUPPRESS
    UPDATE_FRAMEWORK
scheduler.Call.UpdateFramework: framework_info! FrameworkInfo, suppressed_roles [string],
    offer_constraints OfferConstraints
scheduler.OfferConstraints: role_constraints {RoleConstraints}
scheduler.OfferConstraints.RoleConstraints: groups [Group]
scheduler.OfferConstraints.RoleConstraints.Group: attribute_constraints [AttributeConstraint]
'''

#: The executor API's calls.
_EXECUTOR = '''
executor.Call: executor_id! ExecutorID, framework_id! FrameworkID, type Type, subscribe Subscribe, update Update,
    message Message
executor.Call.Message: data! bytes
executor.Call.Subscribe: unacknowledged_tasks [TaskInfo], unacknowledged_updates [Update]
executor.Call.Type = UNKNOWN SUBSCRIBE UPDATE MESSAGE HEARTBEAT
executor.Call.Update: status! TaskStatus
'''

#: The master's operator API.
_MASTER = '''
google.Duration: seconds int64, nanos int32
maintenance.Schedule: windows [Window]
maintenance.Window: machine_ids [MachineID], unavailability! Unavailability
master.Call: type Type, get_metrics GetMetrics, set_logging_level SetLoggingLevel, list_files ListFiles,
    read_file ReadFile, update_weights UpdateWeights, reserve_resources ReserveResources,
    unreserve_resources UnreserveResources, create_volumes CreateVolumes, destroy_volumes DestroyVolumes,
    update_maintenance_schedule UpdateMaintenanceSchedule, start_maintenance StartMaintenance,
    stop_maintenance StopMaintenance, set_quota SetQuota, remove_quota RemoveQuota, teardown Teardown,
    mark_agent_gone MarkAgentGone, grow_volume GrowVolume, shrink_volume ShrinkVolume, update_quota UpdateQuota,
    drain_agent DrainAgent, deactivate_agent DeactivateAgent, reactivate_agent ReactivateAgent
master.Call.CreateVolumes: agent_id! AgentID, volumes [Resource]
master.Call.DeactivateAgent: agent_id! AgentID
master.Call.DestroyVolumes: agent_id! AgentID, volumes [Resource]
master.Call.DrainAgent: agent_id! AgentID, max_grace_period google.Duration, mark_gone bool=false
master.Call.GetMetrics: timeout DurationInfo
master.Call.GrowVolume: agent_id AgentID, volume! Resource, addition! Resource
master.Call.ListFiles: path! string
master.Call.MarkAgentGone: agent_id! AgentID
master.Call.ReactivateAgent: agent_id! AgentID
master.Call.ReadFile: path! string, offset! uint64, length uint64
master.Call.RemoveQuota: role! string
master.Call.ReserveResources: agent_id! AgentID, resources [Resource], source [Resource]
master.Call.SetLoggingLevel: level! uint32, duration! DurationInfo
master.Call.SetQuota: quota_request! quota.QuotaRequest
master.Call.ShrinkVolume: agent_id AgentID, volume! Resource, subtract! Value.Scalar
master.Call.StartMaintenance: machines [MachineID]
master.Call.StopMaintenance: machines [MachineID]
master.Call.Teardown: framework_id! FrameworkID
master.Call.Type = UNKNOWN GET_HEALTH GET_FLAGS GET_VERSION GET_METRICS GET_LOGGING_LEVEL SET_LOGGING_LEVEL LIST_FILES
    READ_FILE GET_STATE GET_AGENTS GET_FRAMEWORKS GET_EXECUTORS GET_OPERATIONS GET_TASKS GET_ROLES GET_WEIGHTS
    UPDATE_WEIGHTS GET_MASTER SUBSCRIBE RESERVE_RESOURCES UNRESERVE_RESOURCES CREATE_VOLUMES DESTROY_VOLUMES
    GROW_VOLUME SHRINK_VOLUME GET_MAINTENANCE_STATUS GET_MAINTENANCE_SCHEDULE UPDATE_MAINTENANCE_SCHEDULE
    START_MAINTENANCE STOP_MAINTENANCE DRAIN_AGENT DEACTIVATE_AGENT REACTIVATE_AGENT GET_QUOTA UPDATE_QUOTA SET_QUOTA
    REMOVE_QUOTA TEARDOWN MARK_AGENT_GONE
master.Call.UnreserveResources: agent_id! AgentID, resources [Resource]
master.Call.UpdateMaintenanceSchedule: schedule! maintenance.Schedule
master.Call.UpdateQuota: force bool, quota_configs [quota.QuotaConfig]
master.Call.UpdateWeights: weight_infos [WeightInfo]
quota.QuotaConfig: role! string, guarantees {Value.Scalar}, limits {Value.Scalar}
quota.QuotaRequest: force bool, role string, guarantee [Resource]
'''

#: The agent's operator API.
_AGENT = '''
agent.Call: type Type, get_metrics GetMetrics, set_logging_level SetLoggingLevel, list_files ListFiles,
    read_file ReadFile, launch_nested_container LaunchNestedContainer, wait_nested_container WaitNestedContainer,
    kill_nested_container KillNestedContainer, launch_nested_container_session LaunchNestedContainerSession,
    attach_container_input AttachContainerInput, attach_container_output AttachContainerOutput,
    remove_nested_container RemoveNestedContainer, launch_container LaunchContainer, wait_container WaitContainer,
    kill_container KillContainer, remove_container RemoveContainer,
    add_resource_provider_config AddResourceProviderConfig,
    update_resource_provider_config UpdateResourceProviderConfig,
    remove_resource_provider_config RemoveResourceProviderConfig, get_containers GetContainers,
    prune_images PruneImages, mark_resource_provider_gone MarkResourceProviderGone
agent.Call.AddResourceProviderConfig: info! ResourceProviderInfo
agent.Call.AttachContainerInput: type Type, container_id ContainerID, process_io ProcessIO
agent.Call.AttachContainerInput.Type = UNKNOWN CONTAINER_ID PROCESS_IO
agent.Call.AttachContainerOutput: container_id! ContainerID
agent.Call.GetContainers: show_nested bool, show_standalone bool
agent.Call.GetMetrics: timeout DurationInfo
agent.Call.KillContainer: container_id! ContainerID, signal int32
agent.Call.KillNestedContainer: container_id! ContainerID, signal int32
agent.Call.LaunchContainer: container_id! ContainerID, command CommandInfo, resources [Resource],
    container ExecutorInfo.Container, limits {Value.Scalar}
agent.Call.LaunchNestedContainer: container_id! ContainerID, command CommandInfo, container ContainerInfo
agent.Call.LaunchNestedContainerSession: container_id! ContainerID, command CommandInfo, container ContainerInfo
agent.Call.ListFiles: path! string
agent.Call.MarkResourceProviderGone: resource_provider_id! ResourceProviderID
agent.Call.PruneImages: excluded_images [Image]
agent.Call.ReadFile: path! string, offset! uint64, length uint64
agent.Call.RemoveContainer: container_id! ContainerID
agent.Call.RemoveNestedContainer: container_id! ContainerID
agent.Call.RemoveResourceProviderConfig: type! string, name! string
agent.Call.SetLoggingLevel: level! uint32, duration! DurationInfo
agent.Call.Type = UNKNOWN GET_HEALTH GET_FLAGS GET_VERSION GET_METRICS GET_LOGGING_LEVEL SET_LOGGING_LEVEL LIST_FILES
    READ_FILE GET_STATE GET_CONTAINERS GET_FRAMEWORKS GET_EXECUTORS GET_OPERATIONS GET_TASKS GET_AGENT
    GET_RESOURCE_PROVIDERS LAUNCH_NESTED_CONTAINER WAIT_NESTED_CONTAINER KILL_NESTED_CONTAINER REMOVE_NESTED_CONTAINER
    LAUNCH_NESTED_CONTAINER_SESSION ATTACH_CONTAINER_INPUT ATTACH_CONTAINER_OUTPUT LAUNCH_CONTAINER WAIT_CONTAINER
    KILL_CONTAINER REMOVE_CONTAINER ADD_RESOURCE_PROVIDER_CONFIG UPDATE_RESOURCE_PROVIDER_CONFIG
    REMOVE_RESOURCE_PROVIDER_CONFIG MARK_RESOURCE_PROVIDER_GONE PRUNE_IMAGES
agent.Call.UpdateResourceProviderConfig: info! ResourceProviderInfo
agent.Call.WaitContainer: container_id! ContainerID
agent.Call.WaitNestedContainer: container_id! ContainerID
agent.ProcessIO: type Type, data Data, control Control
agent.ProcessIO.Control: type Type, tty_info TTYInfo, heartbeat Heartbeat
agent.ProcessIO.Control.Heartbeat: interval DurationInfo
agent.ProcessIO.Control.Type = UNKNOWN TTY_INFO HEARTBEAT
agent.ProcessIO.Data: type Type, data bytes
agent.ProcessIO.Data.Type = UNKNOWN STDIN STDOUT STDERR
agent.ProcessIO.Type = UNKNOWN DATA CONTROL
'''

#: What all of them are made of.
_COMMON = '''
Address: hostname string, ip string, port! int32
AgentID: value! string
AgentInfo: hostname! string, resources [Resource], attributes [Attribute], id AgentID, port int32=5051,
    domain DomainInfo
Attribute: name! string, type! Value.Type, scalar Value.Scalar, ranges Value.Ranges, text Value.Text, set Value.Set
CSIPluginContainerInfo: services [Service], command CommandInfo, resources [Resource], container ContainerInfo
CSIPluginContainerInfo.Service = UNKNOWN CONTROLLER_SERVICE NODE_SERVICE
CSIPluginEndpoint: csi_service! CSIPluginContainerInfo.Service, endpoint! string
CSIPluginInfo: type! string, name string=default, containers [CSIPluginContainerInfo], endpoints [CSIPluginEndpoint],
    target_path_root string, target_path_exists bool
CapabilityInfo: capabilities [Capability]
CapabilityInfo.Capability = UNKNOWN CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
    SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE
    AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
CgroupInfo: net_cls NetCls
CgroupInfo.NetCls: classid uint32
CheckInfo: type Type, command Command, http Http, delay_seconds double=15.0, interval_seconds double=10.0,
    timeout_seconds double=20.0, tcp Tcp
CheckInfo.Command: command! CommandInfo
CheckInfo.Http: port! uint32, path string
CheckInfo.Tcp: port! uint32
CheckInfo.Type = UNKNOWN COMMAND HTTP TCP
CheckStatusInfo: type CheckInfo.Type, command Command, http Http, tcp Tcp
CheckStatusInfo.Command: exit_code int32
CheckStatusInfo.Http: status_code uint32
CheckStatusInfo.Tcp: succeeded bool
CommandInfo: uris [URI], environment Environment, value string, user string, shell bool=true, arguments [string]
CommandInfo.URI: value! string, executable bool, extract bool=true, cache bool, output_file string
ContainerID: value! string, parent ContainerID
ContainerInfo: type! Type, volumes [Volume], docker DockerInfo, hostname string, mesos MesosInfo,
    network_infos [NetworkInfo], linux_info LinuxInfo, rlimit_info RLimitInfo, tty_info TTYInfo
ContainerInfo.DockerInfo: image! string, network Network=HOST, port_mappings [PortMapping], privileged bool=false,
    parameters [Parameter], force_pull_image bool, volume_driver string
ContainerInfo.DockerInfo.Network = HOST BRIDGE NONE USER
ContainerInfo.DockerInfo.PortMapping: host_port! uint32, container_port! uint32, protocol string
ContainerInfo.MesosInfo: image Image
ContainerInfo.Type = DOCKER MESOS
ContainerStatus: network_infos [NetworkInfo], cgroup_info CgroupInfo, executor_pid uint32, container_id ContainerID
Credential: principal! string, secret string
DiscoveryInfo: visibility! Visibility, name string, environment string, location string, version string, ports Ports,
    labels Labels
DiscoveryInfo.Visibility = FRAMEWORK CLUSTER EXTERNAL
DomainInfo: fault_domain FaultDomain
DomainInfo.FaultDomain: region! RegionInfo, zone! ZoneInfo
DomainInfo.FaultDomain.RegionInfo: name! string
DomainInfo.FaultDomain.ZoneInfo: name! string
DurationInfo: nanoseconds! int64
Environment: variables [Variable]
Environment.Variable: name! string, value string, type Type=VALUE, secret Secret
Environment.Variable.Type = UNKNOWN VALUE SECRET
ExecutorID: value! string
ExecutorInfo: executor_id! ExecutorID, data bytes, resources [Resource], command CommandInfo, framework_id FrameworkID,
    name string, source string, container Container, discovery DiscoveryInfo, shutdown_grace_period DurationInfo,
    labels Labels, type Type
ExecutorInfo.Container: type! ContainerInfo.Type, volumes [Volume], docker ContainerInfo.DockerInfo, hostname string,
    mesos ContainerInfo.MesosInfo, network_infos [NetworkInfo], linux_info LinuxInfo, rlimit_info RLimitInfo,
    tty_info TTYInfo
ExecutorInfo.LinuxInfo: capability_info CapabilityInfo, bounding_capabilities CapabilityInfo,
    effective_capabilities CapabilityInfo, share_pid_namespace bool, seccomp SeccompInfo, ipc_mode .LinuxInfo.IpcMode,
    shm_size uint32, share_cgroups bool
ExecutorInfo.Type = UNKNOWN DEFAULT CUSTOM
Filters: refuse_seconds double=5.0
FrameworkID: value! string
FrameworkInfo: user! string, name! string, id FrameworkID, failover_timeout double=0.0, checkpoint bool=false,
    role string, hostname string, principal string, webui_url string, capabilities [Capability], labels Labels,
    roles [string], offer_filters {OfferFilters}
FrameworkInfo.Capability: type Type
FrameworkInfo.Capability.Type = UNKNOWN REVOCABLE_RESOURCES TASK_KILLING_STATE GPU_RESOURCES SHARED_RESOURCES
    PARTITION_AWARE MULTI_ROLE RESERVATION_REFINEMENT REGION_AWARE
HealthCheck: http HTTPCheckInfo, delay_seconds double=15.0, interval_seconds double=10.0, timeout_seconds double=20.0,
    consecutive_failures uint32=3, grace_period_seconds double=10.0, command CommandInfo, type Type, tcp TCPCheckInfo
HealthCheck.HTTPCheckInfo: port! uint32, path string, scheme string, statuses [uint32],
    protocol NetworkInfo.Protocol=IPv4
HealthCheck.TCPCheckInfo: port! uint32, protocol NetworkInfo.Protocol=IPv4
HealthCheck.Type = UNKNOWN COMMAND HTTP TCP
Image: type! Type, appc Appc, docker Docker, cached bool=true
Image.Appc: name! string, id string, labels Labels
Image.Docker: name! string, credential Credential, config Secret
Image.Type = APPC DOCKER
InverseOffer: id! OfferID, url URL, framework_id! FrameworkID, agent_id AgentID, unavailability! Unavailability,
    resources [Resource]
KillPolicy: grace_period DurationInfo
Label: key! string, value string
Labels: labels [Label]
LinuxInfo: capability_info CapabilityInfo, bounding_capabilities CapabilityInfo, effective_capabilities CapabilityInfo,
    share_pid_namespace bool, seccomp SeccompInfo, ipc_mode IpcMode, shm_size uint32, share_cgroups bool=true
LinuxInfo.IpcMode = UNKNOWN PRIVATE SHARE_PARENT
MachineID: hostname string, ip string
MasterInfo: id! string, ip! uint32, port! uint32=5050, pid string, hostname string, version string, address Address,
    domain DomainInfo, capabilities [Capability]
MasterInfo.Capability: type Type
MasterInfo.Capability.Type = UNKNOWN AGENT_UPDATE AGENT_DRAINING
MountPropagation: mode Mode
MountPropagation.Mode = UNKNOWN HOST_TO_CONTAINER BIDIRECTIONAL
NetworkInfo: groups [string], labels Labels, ip_addresses [IPAddress], name string, port_mappings [PortMapping]
NetworkInfo.IPAddress: protocol Protocol=IPv4, ip_address string
NetworkInfo.PortMapping: host_port! uint32, container_port! uint32, protocol string
NetworkInfo.Protocol = IPv4 IPv6
Offer: id! OfferID, framework_id! FrameworkID, agent_id! AgentID, hostname! string, resources [Resource],
    executor_ids [ExecutorID], attributes [Attribute], url URL, unavailability Unavailability,
    allocation_info Resource.AllocationInfo, domain DomainInfo
Offer.Operation: type Type, launch Launch, reserve Reserve, unreserve Unreserve, create Create, destroy Destroy,
    launch_group LaunchGroup, id OperationID, grow_volume GrowVolume, shrink_volume ShrinkVolume,
    create_disk CreateDisk, destroy_disk DestroyDisk
Offer.Operation.Create: volumes [Resource]
Offer.Operation.CreateDisk: source! Resource, target_type! Resource.DiskInfo.Source.Type, target_profile string
Offer.Operation.Destroy: volumes [Resource]
Offer.Operation.DestroyDisk: source! Resource
Offer.Operation.GrowVolume: volume! Resource, addition! Resource
Offer.Operation.Launch: task_infos [TaskInfo]
Offer.Operation.LaunchGroup: executor! ExecutorInfo, task_group! TaskGroupInfo
Offer.Operation.Reserve: resources [Resource], source [Resource]
Offer.Operation.ShrinkVolume: volume! Resource, subtract! Value.Scalar
Offer.Operation.Type = UNKNOWN LAUNCH LAUNCH_GROUP RESERVE UNRESERVE CREATE DESTROY GROW_VOLUME SHRINK_VOLUME
    CREATE_DISK DESTROY_DISK
Offer.Operation.Unreserve: resources [Resource]
OfferFilters: min_allocatable_resources MinAllocatableResources
OfferFilters.MinAllocatableResources: quantities [ResourceQuantities]
OfferFilters.ResourceQuantities: quantities {Value.Scalar}
OfferID: value! string
OperationID: value! string
OperationState = OPERATION_UNSUPPORTED OPERATION_PENDING OPERATION_FINISHED OPERATION_FAILED OPERATION_ERROR
    OPERATION_DROPPED OPERATION_UNREACHABLE OPERATION_GONE_BY_OPERATOR OPERATION_RECOVERING OPERATION_UNKNOWN
OperationStatus: operation_id OperationID, state! OperationState, message string, converted_resources [Resource],
    uuid UUID, agent_id AgentID, resource_provider_id ResourceProviderID
Parameter: key! string, value! string
Parameters: parameter [Parameter]
Port: number! uint32, name string, protocol string, visibility DiscoveryInfo.Visibility, labels Labels
Ports: ports [Port]
RLimitInfo: rlimits [RLimit]
RLimitInfo.RLimit: type Type, hard uint64, soft uint64
RLimitInfo.RLimit.Type = UNKNOWN RLMT_AS RLMT_CORE RLMT_CPU RLMT_DATA RLMT_FSIZE RLMT_LOCKS RLMT_MEMLOCK RLMT_MSGQUEUE
    RLMT_NICE RLMT_NOFILE RLMT_NPROC RLMT_RSS RLMT_RTPRIO RLMT_RTTIME RLMT_SIGPENDING RLMT_STACK
Request: agent_id AgentID, resources [Resource]
Resource: name! string, type! Value.Type, scalar Value.Scalar, ranges Value.Ranges, set Value.Set, role string,
    disk DiskInfo, reservation ReservationInfo, revocable RevocableInfo, shared SharedInfo,
    allocation_info AllocationInfo, provider_id ResourceProviderID, reservations [ReservationInfo]
Resource.AllocationInfo: role string
Resource.DiskInfo: persistence Persistence, volume Volume, source Source
Resource.DiskInfo.Persistence: id! string, principal string
Resource.DiskInfo.Source: type! Type, path Path, mount Mount, id string, metadata Labels, profile string, vendor string
Resource.DiskInfo.Source.Mount: root string
Resource.DiskInfo.Source.Path: root string
Resource.DiskInfo.Source.Type = UNKNOWN PATH MOUNT BLOCK RAW
Resource.ReservationInfo: principal string, labels Labels, role string, type Type
Resource.ReservationInfo.Type = UNKNOWN STATIC DYNAMIC
Resource.RevocableInfo:
Resource.SharedInfo:
ResourceProviderID: value! string
ResourceProviderInfo: id ResourceProviderID, attributes [Attribute], type! string, name! string,
    default_reservations [Resource.ReservationInfo], storage Storage
ResourceProviderInfo.Storage: plugin! CSIPluginInfo, reconciliation_interval_seconds double
SeccompInfo: profile_name string, unconfined bool
Secret: type Type, reference Reference, value Value
Secret.Reference: name! string, key string
Secret.Type = UNKNOWN REFERENCE VALUE
Secret.Value: data! bytes
TTYInfo: window_size WindowSize
TTYInfo.WindowSize: rows! uint32, columns! uint32
TaskGroupInfo: tasks [TaskInfo]
TaskID: value! string
TaskInfo: name! string, task_id! TaskID, agent_id! AgentID, resources [Resource], executor ExecutorInfo, data bytes,
    command CommandInfo, health_check HealthCheck, container ContainerInfo, labels Labels, discovery DiscoveryInfo,
    kill_policy KillPolicy, check CheckInfo, max_completion_time DurationInfo, limits {Value.Scalar}
TaskResourceLimitation: resources [Resource]
TaskState = TASK_STAGING TASK_STARTING TASK_RUNNING TASK_KILLING TASK_FINISHED TASK_FAILED TASK_KILLED TASK_ERROR
    TASK_LOST TASK_DROPPED TASK_UNREACHABLE TASK_GONE TASK_GONE_BY_OPERATOR TASK_UNKNOWN
TaskStatus: task_id! TaskID, state! TaskState, data bytes, message string, agent_id AgentID, timestamp double,
    executor_id ExecutorID, healthy bool, source Source, reason Reason, uuid bytes, labels Labels,
    container_status ContainerStatus, unreachable_time TimeInfo, check_status CheckStatusInfo,
    limitation TaskResourceLimitation
TaskStatus.Reason = REASON_COMMAND_EXECUTOR_FAILED REASON_CONTAINER_LAUNCH_FAILED REASON_CONTAINER_LIMITATION
    REASON_CONTAINER_LIMITATION_DISK REASON_CONTAINER_LIMITATION_MEMORY REASON_CONTAINER_PREEMPTED
    REASON_CONTAINER_UPDATE_FAILED REASON_MAX_COMPLETION_TIME_REACHED REASON_EXECUTOR_REGISTRATION_TIMEOUT
    REASON_EXECUTOR_REREGISTRATION_TIMEOUT REASON_EXECUTOR_TERMINATED REASON_EXECUTOR_UNREGISTERED
    REASON_FRAMEWORK_REMOVED REASON_GC_ERROR REASON_INVALID_FRAMEWORKID REASON_INVALID_OFFERS
    REASON_IO_SWITCHBOARD_EXITED REASON_MASTER_DISCONNECTED REASON_RECONCILIATION REASON_RESOURCES_UNKNOWN
    REASON_AGENT_DISCONNECTED REASON_AGENT_DRAINING REASON_AGENT_REMOVED REASON_AGENT_REMOVED_BY_OPERATOR
    REASON_AGENT_REREGISTERED REASON_AGENT_RESTARTED REASON_AGENT_UNKNOWN REASON_TASK_KILLED_DURING_LAUNCH
    REASON_TASK_CHECK_STATUS_UPDATED REASON_TASK_HEALTH_CHECK_STATUS_UPDATED REASON_TASK_GROUP_INVALID
    REASON_TASK_GROUP_UNAUTHORIZED REASON_TASK_INVALID REASON_TASK_UNAUTHORIZED REASON_TASK_UNKNOWN
TaskStatus.Source = SOURCE_MASTER SOURCE_AGENT SOURCE_EXECUTOR
TimeInfo: nanoseconds! int64
URL: scheme! string, address! Address, path string, query [Parameter], fragment string
UUID: value! bytes
Unavailability: start! TimeInfo, duration DurationInfo
Value.Range: begin! uint64, end! uint64
Value.Ranges: range [Range]
Value.Scalar: value! double
Value.Set: item [string]
Value.Text: value! string
Value.Type = SCALAR RANGES SET TEXT
Volume: mode! Mode, container_path! string, host_path string, image Image, source Source
Volume.Mode = RW RO
Volume.Source: type Type, docker_volume DockerVolume, sandbox_path SandboxPath, secret Secret, host_path HostPath,
    csi_volume CSIVolume
Volume.Source.CSIVolume: plugin_name! string, static_provisioning StaticProvisioning
Volume.Source.CSIVolume.StaticProvisioning: volume_id! string, volume_capability! VolumeCapability,
    node_stage_secrets {Secret}, node_publish_secrets {Secret}, volume_context {string}
Volume.Source.CSIVolume.VolumeCapability: block| BlockVolume, mount| MountVolume, access_mode! AccessMode
Volume.Source.CSIVolume.VolumeCapability.AccessMode: mode! Mode
Volume.Source.CSIVolume.VolumeCapability.AccessMode.Mode = UNKNOWN SINGLE_NODE_WRITER SINGLE_NODE_READER_ONLY
    MULTI_NODE_READER_ONLY MULTI_NODE_SINGLE_WRITER MULTI_NODE_MULTI_WRITER
Volume.Source.CSIVolume.VolumeCapability.BlockVolume:
Volume.Source.CSIVolume.VolumeCapability.MountVolume: fs_type string, mount_flags [string]
Volume.Source.DockerVolume: driver string, name! string, driver_options Parameters
Volume.Source.HostPath: path! string, mount_propagation MountPropagation
Volume.Source.SandboxPath: type Type, path! string
Volume.Source.SandboxPath.Type = UNKNOWN SELF PARENT
Volume.Source.Type = UNKNOWN DOCKER_VOLUME HOST_PATH SANDBOX_PATH SECRET CSI_VOLUME
WeightInfo: weight! double, role string
'''

#: A message: its `fields` {name: Field} in order, the names of those that are `required`, and of those of which only
#: one may be set (`choice`); `defaults` {name: value} of what is always shown.
Message = namedtuple('Message', ['name', 'fields', 'required', 'choice', 'defaults'])

#: A field: `type` is a name of SCALARS, of a message or of an enum; `label` is '' (one), '[' (several) or '{' (a map
#: from text).
Field = namedtuple('Field', ['name', 'type', 'label', 'is_required'])

_loaded = []


def load():
    """({name: Message}, {name: frozenset of an enum's names}); the same objects each time."""
    if not _loaded:
        _loaded.append(_read(_lines(_SCHEDULER + _EXECUTOR + _MASTER + _AGENT + _COMMON)))
    return _loaded[0]


def _lines(text):
    """The lines, those that go on joined."""
    return text.replace('\n    ', ' ').split('\n')


def _read(lines):
    rows, enums = OrderedDict(), {}
    for line in lines:
        name, is_enum, names = line.partition(' = ')
        if is_enum:
            enums[name] = frozenset(names.split())
        elif line:
            name, _, fields = line.partition(':')
            rows[name] = [field.split() for field in fields.split(',') if field.strip()]
    known = set(rows) | set(enums) | SCALARS
    return dict((name, _message(name, fields, known)) for name, fields in rows.items()), enums


def _message(name, rows, known):
    fields, choice, defaults = OrderedDict(), [], {}
    for label, type_ in rows:
        field = label.rstrip('!|')
        type_, has_default, default = type_.partition('=')
        wanted = type_.strip('[{]}')
        fields[field] = Field(field, _find(wanted, name, known), type_[0] if type_[0] in '[{' else '',
                              label.endswith('!'))
        if label.endswith('|'):
            choice.append(field)
        if has_default:
            defaults[field] = _DEFAULTS[fields[field].type](default) if fields[field].type in _DEFAULTS else default
    return Message(name, fields, tuple(field for field in fields if fields[field].is_required), frozenset(choice),
                   defaults)


_DEFAULTS = {'bool': lambda text: text == 'true', 'double': float, 'int32': int, 'uint32': int}


def _find(wanted, scope, known):
    """The full name of the type that is called `wanted` inside the message `scope`."""
    while not wanted.startswith('.'):
        full = '%s.%s' % (scope, wanted) if scope else wanted
        if full in known:
            return full
        if not scope:
            raise LookupError('no type %s' % wanted)
        scope = scope.rpartition('.')[0]
    return wanted[1:]
