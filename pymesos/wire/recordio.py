"""RecordIO: records, each behind its length in decimal digits and a line feed (PROTOCOL 1.3)."""
from __future__ import absolute_import, division, print_function

import re

from ..errors import RecordError, excerpt

__all__ = ['DEFAULT_MAX_RECORD', 'MAX_DIGITS', 'Decoder', 'encode']

#: The ceiling of a record's length in bytes where none is given. The largest real records are an operator's
#: GET_STATE and SUBSCRIBED, some tens of megabytes on a cluster of thousands of agents.
DEFAULT_MAX_RECORD = 256 * 1024 * 1024

#: How many digits a length may have: as many as the largest uint64, the type that the specification names.
MAX_DIGITS = 20

# A regular expression and not int() decides what a length is: int() takes b'+5', b' 5 ' and, from 3.6 on, b'1_0'.
# Blank lines before a length are skipped, as by the sample parser in Mesos' documentation.
_HEADER = re.compile(br'\n*([0-9]{1,20})\n')
_BEGUN_HEADER = re.compile(br'\n*([0-9]{0,20})\Z')


def encode(data):
    """`data` (bytes) as one record."""
    return str(len(data)).encode('ascii') + b'\n' + data


class Decoder(object):
    """Cuts a stream of bytes into records. The cost is linear in the bytes, however they are cut.

    `max_record` is how many bytes a record may have. An error is for good: the bytes after it cannot be read.
    For one thread at a time.
    """

    def __init__(self, max_record=DEFAULT_MAX_RECORD):
        self._max_record = max_record
        self._held = bytearray()    # an unfinished header, or the first bytes of the record under way
        self._length = None         # of the record under way; None between records and inside a header
        self._last_header, self._last_length = b'0\n', 0      # small records are often as long as the one before
        self._failure = None        # the text of the error, once there is one

    @property
    def buffered(self):
        """How many bytes are held back until their record is complete."""
        return len(self._held)

    @property
    def is_partial(self):
        """Whether the bytes so far end inside a header or inside a record."""
        return self._length is not None or bool(self._held)

    @property
    def error(self):
        """The :class:`RecordError` that the next call of `feed` or `close` will raise, or None."""
        return None if self._failure is None else RecordError(self._failure)

    def feed(self, data):
        """The records (list of bytes, in order) that `data` (bytes) completes.

        Raises :class:`RecordError` as soon as a length is not 1 to 20 digits and a line feed, or is above the
        ceiling, and from then on at every call. Records that end in `data` before the error are returned
        first; then the next call raises, and `error` tells of it at once.
        """
        if self._failure is not None:
            raise RecordError(self._failure)
        records = []
        position = 0
        if self._length is not None:
            position = self._length - len(self._held)
            if len(data) < position:
                self._held += data
                return records
            self._held += data[:position]
            records.append(bytes(self._held))
            self._held = bytearray()
            self._length = None
        elif self._held:
            data = bytes(self._held) + data
            self._held = bytearray()
        self._cut(data, position, records)
        if self._failure is not None and not records:
            raise RecordError(self._failure)
        return records

    def _cut(self, data, position, records):
        match = _HEADER.match
        size = len(data)
        last, length = self._last_header, self._last_length
        while position < size:
            if data.startswith(last, position):
                position += len(last)
            else:
                header = match(data, position)
                if header is None:
                    self._hold_header(data, position)
                    return
                position = header.end()
                length = int(header.group(1))
                last, self._last_header, self._last_length = header.group(0), header.group(0), length
            end = position + length
            if length > self._max_record:
                self._failure = ('cannot decode records: the peer announced a record of %d bytes, '
                                 'at most %d are allowed' % (length, self._max_record))
                return
            if end > size:
                self._length = length
                self._held += data[position:]
                return
            records.append(data[position:end])
            position = end

    def _hold_header(self, data, position):
        begun = _BEGUN_HEADER.match(data, position)
        if begun is None:
            self._failure = ('cannot decode records: expected a length of 1 to %d digits and a line feed, '
                             'the peer sent %s' % (MAX_DIGITS, excerpt(data[position:])))
        else:
            self._held += begun.group(1)

    def close(self):
        """To be called when no more bytes will come.

        Raises :class:`RecordError` if they ended inside a header or a record, and if there was an error before.
        """
        if self._failure is None and self._length is not None:
            self._failure = ('cannot decode records: the stream ended after %d of the %d bytes of a record'
                             % (len(self._held), self._length))
        elif self._failure is None and self._held:
            self._failure = ('cannot decode records: the stream ended inside a length: %s'
                             % excerpt(bytes(self._held)))
        if self._failure is not None:
            raise RecordError(self._failure)
