package capacity

import (
	"github.com/twinreel/twinreel/pkg/settings"
	"github.com/twinreel/twinreel/reconciler/internal/spool"
)

// What a run asks for. Package plan's test counts that it is so.
const (
	listedByS3    = 1000 // keys a page of ListObjectVersions
	listedByAzure = 5000 // blobs a page of List Blobs
	foldersKeys   = 2    // of a recording in each store: media and sidecar

	// Look is what a closer look at one recording asks of each store: its sidecar, its media's Stat and tags.
	Look = 3
	// LookNATS is what it asks of NATS: the digest entry and the tombstone.
	LookNATS = 2
	// Confirm is what freeing its digest entry asks of each store: the sidecar, and the media's Stat.
	Confirm = 2
	// ConfirmNATS is what it asks of NATS: the entry, the audit event, and the purge.
	ConfirmNATS = 3

	lookAll = 20_000 // as package plan has it: up to so many a full run looks closely at all
	turns   = 30     // else at one in so many
)

// Requests are how many requests somebody makes, of those that are paid for or that a quota counts.
type Requests struct {
	By          string `json:"by,omitempty"`
	S3Writes    int64  `json:"s3Writes"`    // of class PUT
	S3Reads     int64  `json:"s3Reads"`     // of class GET, HEAD among them
	S3Lists     int64  `json:"s3Lists"`     // of class LIST
	AzureWrites int64  `json:"azureWrites"` // likewise
	AzureReads  int64  `json:"azureReads"`
	AzureLists  int64  `json:"azureLists"`
	NATS        int64  `json:"nats"` // without the reading of streams, which come by the hundred
}

// FullRun is what comparing whole inventories of so many recordings asks for, when nothing differs.
func FullRun(recordings int64) Requests {
	looked := recordings
	if recordings > lookAll {
		looked = over(recordings, turns)
	}
	keys := recordings * foldersKeys
	return Requests{
		S3Lists: max(1, over(keys, listedByS3)), AzureLists: max(1, over(keys, listedByAzure)), S3Reads: looked * Look, AzureReads: looked * Look,
		NATS: looked * LookNATS,
	}
}

// HourlyRun is what looking at what is new asks for, and the confirming of it, of so many recordings a day.
func HourlyRun(perDay int64) Requests {
	hour := over(perDay, 24)
	return Requests{S3Reads: hour * (Look + Confirm), AzureReads: hour * (Look + Confirm), NATS: hour * (LookNATS + ConfirmNATS)}
}

// Disk is what a full run writes into temporary files, at most.
func Disk(recordings int64) settings.Bytes {
	const each = 2 * 190 // two keys of usual length, each with its entry
	n := recordings * each
	return settings.Bytes(n + min(n, spool.Merging))
}

// over is how many times b goes into a, rounded up.
func over(a, b int64) int64 { return (a + b - 1) / b }

// Plus is both together, made by r's maker.
func (r Requests) Plus(o Requests) Requests {
	return Requests{
		r.By, r.S3Writes + o.S3Writes, r.S3Reads + o.S3Reads, r.S3Lists + o.S3Lists, r.AzureWrites + o.AzureWrites, r.AzureReads + o.AzureReads,
		r.AzureLists + o.AzureLists, r.NATS + o.NATS,
	}
}

// share is a part of them, or some times as many.
func (r Requests) share(f float64) Requests {
	part := func(n int64) int64 { return whole(float64(n) * f) }
	return Requests{r.By, part(r.S3Writes), part(r.S3Reads), part(r.S3Lists), part(r.AzureWrites), part(r.AzureReads), part(r.AzureLists), part(r.NATS)}
}

// Times is n of them.
func (r Requests) Times(n int64) Requests {
	return Requests{r.By, r.S3Writes * n, r.S3Reads * n, r.S3Lists * n, r.AzureWrites * n, r.AzureReads * n, r.AzureLists * n, r.NATS * n}
}
