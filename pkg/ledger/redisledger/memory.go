package redisledger

// RecordingBytes is what a recording that both tiers hold takes of a Redis server's memory, keys and times to live included:
// two claims that are done, and the record. Measured with keys, ETags and version IDs of usual length: 1,726 by what the server
// had allocated for 10,000; a test holds a real server against it.
const RecordingBytes = 1800
