package capacity

import (
	"time"

	"github.com/twinreel/twinreel/pkg/ledger/redisledger"
)

// What was measured, and where: on one machine of two processors, all servers and programs on it, over its own loopback. A
// floor for what a machine of one's own does, and no promise of a cloud's. What the machine measured with nothing beside it is
// taken where there is such a figure; the others are rather too low. Whoever measures anew changes the number here, and with it
// Figures and the page deploy/CAPACITY.md (`make settings`).
const (
	// trips is how many times a worker waits for somebody far away, one after the other, for one small recording.
	trips = 4.32
	// window is what one connection has on its way at most, in bytes: it brings so much in each round trip.
	window = 4 << 20
	// streamsOfOne is how many such connections' worth a worker makes of one large recording.
	streamsOfOne = 3.08
	// scaling is what each of four workers does of what one alone does.
	scaling = 0.72
	// smallCPU is a worker's CPU time for a small recording, and byteCPU for each byte besides, in seconds.
	smallCPU, byteCPU = 0.0025, 1.6 / (1 << 30)
	// workerMemory is the most that a worker was seen to take, in bytes.
	workerMemory = 177 << 20
	// webhooksEach is how many webhooks a second one ingress answers.
	webhooksEach = 3700
	// s3Looks and azureLooks are requests of a small recording to the stores beside the two that write media and sidecar.
	s3Looks, azureLooks = 0.3, 0.9
	// sourceTrips, redisTrips and natsTrips are its other requests, of both tiers together.
	sourceTrips, redisTrips, natsTrips = 2, 6, 12
	// syncedWrites is how many messages a second one stream takes whose every message is synced, and severalStreams how many
	// times as many one server takes into several.
	syncedWrites, severalStreams = 4000, 1.49
	// replicated is how many a stream of three replicas takes, which sync many messages at once; that all streams together take
	// no more is assumed.
	replicated = 6400
	// entryBytes is what a digest entry takes of a NATS server's disk, markBytes the mark of one that was freed, tombstoneBytes
	// what is kept of a recording that was erased on purpose.
	entryBytes, markBytes, tombstoneBytes = 1300, 260, 500
	// keyMemory is what a key of a bucket takes of a NATS server's memory, idMemory a message ID that a stream still knows, in
	// bytes: the process's growth by a million keys, and by half a million IDs, what its garbage collector leaves included.
	keyMemory, idMemory = 650, 190
	// leafBytes is what a sealed audit event takes of each store, leafObjects how many objects it makes. The test seals 65,536,
	// from which the two largest sizes of segments of index and roster are not made yet: they are some 310 bytes of it.
	leafBytes, leafObjects = 1350, 0.0125
	// sealed is how many audit events a second are sealed into one store on a disk.
	sealed = 32_800
	// ledgerSorted is how many recordings a second a full run sorts on disk, and keysMerged how many keys of its lists it compares.
	ledgerSorted, keysMerged = 173_000, 540_000
)

// Figure is one of the measured figures that a plan rests on.
type Figure struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	From  string  `json:"from"` // a row of the benchmark, a test, a page
	When  string  `json:"when"`
}

// Text writes its value.
func (f Figure) Text() string { return short(f.Value) }

// The days of measuring.
const (
	quiet = "2026-11-24" // nothing beside it
	alone = "2026-11-25"
	later = "2026-11-29" // beside other loads
	busy  = "2026-11-30" // likewise
)

// Figures are what was measured.
func Figures() []Figure {
	return []Figure{
		{"waits of a small recording for source and store, one after the other", trips, "round trips", "bench scale-2-far: 37.0 recordings/s, 16 slots, 100 ms", busy},
		{"windows of 4 MiB that one large recording fills", streamsOfOne, "", "bench copy-2GiB-far", quiet},
		{"each of four workers against one alone (quiet: 0.94)", scaling, "", "bench scale-4-far", later},
		{"CPU of a worker, small recording", smallCPU * 1000, "ms", "CHAOS.md, isolation", alone},
		{"CPU of a worker, large recording", byteCPU * (1 << 30), "s/GiB", "bench copy-20MiB-sinks", busy},
		{"most memory of a worker", workerMemory >> 20, "MiB", "bench copy-5GiB-memory", quiet},
		{"webhooks of one ingress", webhooksEach, "/s", "bench webhooks-256", busy},
		{"looks into S3 for a recording", s3Looks, "requests", "bench copy-16KiB-stores", quiet},
		{"looks into Azure Blob for a recording", azureLooks, "requests", "bench copy-16KiB-stores", quiet},
		{"requests to source, Redis, NATS for a recording", sourceTrips + redisTrips + natsTrips, "requests", "bench copy-16KiB-sinks: 2, 6, 12", busy},
		{"synced messages into one stream, one replica", syncedWrites, "/s", "bench streams-4, webhooks-256", quiet},
		{"synced messages into one stream, three replicas on one machine", replicated, "/s", "bench streams-r3, least turn (one replica: 1,001/s beside it)", busy},
		{"four streams of one server against one", severalStreams, "", "bench streams-4", quiet},
		{"a digest entry on a NATS server's disk", entryBytes, "bytes", "test of package capacity", busy},
		{"the mark of one that was freed", markBytes, "bytes", "test of package capacity", busy},
		{"a digest entry in a NATS server's memory", keyMemory, "bytes", "by hand: growth by a million keys", busy},
		{"a message ID in a NATS server's memory", idMemory, "bytes", "by hand: growth by half a million", busy},
		{"a recording in Redis's memory", redisledger.RecordingBytes, "bytes", "test of package redisledger", busy},
		{"a sealed audit event in each store", leafBytes, "bytes", "test of package capacity", busy},
		{"audit events sealed into one store", sealed, "/s", "test of package audit, 2 million", busy},
		{"a full run: recordings sorted", ledgerSorted, "/s", "test of package inventory, 10 million", alone},
		{"a full run: keys compared", keysMerged, "/s", "test of package inventory, 10 million", alone},
	}
}

// How the reconciler asks, as packages plan, repair, inventory, fetch and scrub have it; their tests hold them against these.
const (
	LooksAtOnce    = 16 // recordings that are looked at side by side
	ConfirmsAtOnce = 8  // recordings whose digest entry is freed side by side
	RangesAtOnce   = 4  // ranges of a store that are listed side by side
	SealedAtOnce   = 16 // objects of the log that are put side by side

	PartBytes = 8 << 20   // what the scrub reads by one request; and, of the workers, TWINREEL_PART_BYTES
	MarkLife  = time.Hour // of the mark of a digest entry that was freed
)

// What nobody measured.
const (
	pageTrips      = 2.5    // answers of a store that a page of a listing takes as long as
	refetched      = 0.01   // of recordings, whose link has lapsed when a tier comes to them
	forgottenShare = 0.0001 // of recordings, that are erased on purpose
	zones          = 2      // that carry the load, each able to carry all: deploy/kubernetes/overlays/production
	retryWait      = 5      // seconds that a message waits which failed once: TWINREEL_RETRY_BASE
	checkpointsDay = 288    // of the log, at least
	edgeObjects    = 6      // that each of them costs
)
