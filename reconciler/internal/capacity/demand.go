package capacity

import (
	"time"

	"github.com/twinreel/twinreel/pkg/settings"
)

// writes is how many requests write one recording's media and sidecar: two where it fits one request, else an upload in
// parts, for S3 reckoned as ingress does.
func writes(size settings.Bytes) (s3, azure float64) {
	if size <= PartBytes {
		return 2, 2
	}
	parts := float64(over(int64(size), PartBytes))
	return 4 + parts, 2 + parts // begin, parts, end, tags, sidecar; and blocks, list, sidecar
}

// runs fills in both kinds of run. Stores are asked one after the other for one recording, several recordings side by side.
func (p *Plan) runs(l Load) {
	latency := l.Latency.Seconds()
	look := func(n int64) float64 { return float64(n) * 2 * Look * latency / LooksAtOnce }
	free := func(n int64) float64 { return float64(n) * 2 * Confirm * latency / ConfirmsAtOnce }

	h := Run{Requests: HourlyRun(p.PerDay)}
	h.Looking, h.Freeing = look(over(p.PerDay, 24)), free(over(p.PerDay, 24))
	h.Seconds = h.Looking + h.Freeing
	p.Hourly = h

	f := Run{Requests: FullRun(p.Kept)}
	pages := float64(max(f.S3Lists, f.AzureLists)) * pageTrips * latency / RangesAtOnce
	f.Ordering = float64(p.Kept) / ledgerSorted
	f.Listing = max(pages, float64(p.Kept)*foldersKeys*2/keysMerged)
	f.Looking = look(f.S3Reads / Look)
	f.Seconds = f.Ordering + f.Listing + f.Looking
	p.FullRun = f
}

// requests fills in what the stores are asked in a day, by whom, and in a second of the busiest hour.
func (p *Plan) requests(l Load, s Setup) {
	perDay := float64(l.PerDay)
	s3, azure := writes(l.Size)
	recordings := Requests{
		By: "recordings", S3Writes: whole(perDay * s3), AzureWrites: whole(perDay * azure), S3Reads: whole(perDay * s3Looks), AzureReads: whole(perDay * azureLooks),
		NATS: whole(perDay * natsTrips),
	}
	hourly := p.Hourly.Times(23) // the 24th is the full one
	hourly.By = "runs over what is new"
	full := p.FullRun.share(day.Hours() / s.Full.Hours())
	full.By = "full runs"
	// Each leaf is read back before it is purged.
	log := Requests{By: "sealed log", S3Writes: p.Log.Objects, AzureWrites: p.Log.Objects, S3Reads: p.Log.Objects, AzureReads: p.Log.Objects}
	turn := whole(float64(l.Kept) * float64(over(int64(l.Size), PartBytes)+1) / days(s.ScrubPeriod))
	scrub := Requests{By: "scrub", S3Reads: turn, AzureReads: turn}

	p.Requests = []Requests{recordings, hourly, full, log, scrub}
	for _, r := range p.Requests {
		p.Day = p.Day.Plus(r)
	}
	p.Day.By = "all"
	// What comes with recordings is as uneven as they are; the rest is spread over the day.
	second := func(uneven, even int64) float64 { return (float64(uneven)*l.Peak + float64(even)) / day.Seconds() }
	p.PeakS3 = [2]float64{
		second(recordings.S3Writes+log.S3Writes, 0),
		second(recordings.S3Reads+hourly.S3Reads+log.S3Reads, full.S3Reads+full.S3Lists+scrub.S3Reads),
	}
	p.PeakAzure = second(recordings.AzureWrites+recordings.AzureReads+hourly.AzureReads+log.AzureWrites+log.AzureReads, full.AzureReads+full.AzureLists+scrub.AzureReads)
}

// sealing is how many leaves a second can be sealed: as one leader does on a disk, or as the store answers.
func sealing(latency time.Duration) float64 {
	return min(sealed, SealedAtOnce/(leafObjects*latency.Seconds()))
}

// scrubbed is how many bytes of both tiers one scrubber can read in an hour: of each tier one recording after the other, each a
// sidecar and pieces.
func scrubbed(l Load) float64 {
	latency, size := l.Latency.Seconds(), float64(l.Size)
	each := float64(over(int64(l.Size), PartBytes)+1)*latency + size/(window/latency)
	return 2 * size / each * time.Hour.Seconds()
}
