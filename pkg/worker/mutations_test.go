package worker

// mutations returns one or more for each rule of the design (§4) that the model test covers; where a rule is kept by a
// driver that the model replaces, that driver's own test must notice.
func mutations() []mutation {
	one := func(rule int, name, breaks, file, old, fresh string) mutation {
		return mutation{rule: rule, name: name, breaks: breaks, edits: []edit{{file, old, fresh}}}
	}
	return []mutation{
		one(1, "the message ID does without the recording's", "a webhook that got its 200 is in the stream",
			"pkg/event/names.go", "range []string{source, recordingID, eventID} {", "range []string{source, eventID} {"),
		{rule: 1, name: "200 without the stream's acknowledgement", in: "ingress/internal/webhook", breaks: "TestOnlyAnAcknowledgementMakesA200", edits: []edit{
			{"ingress/internal/webhook/handler.go", "out.code, out.err, out.detail = Unavailable, err,", "out.code, out.err, out.detail = Accepted, err,"},
		}},
		one(4, "what shall come later is acknowledged", "the audit event comes before the acknowledgement",
			"pkg/queue/consumer.go", "c.handBack(msg, meta, later.After)", "c.ack(drain, msg, meta)"),
		one(5, "no last look before a letter", "the tier is looked at once more before a letter",
			"pkg/worker/judge.go", "res, found, err := w.copier.Settle(ctx, w.job(d, *e))", "res, found, err := transfer.Result{}, false, error(nil)"),
		one(5, "acknowledged although RECORDINGS_DLQ refuses", "the audit event comes before the acknowledgement",
			"pkg/worker/judge.go", "if err := w.letter(ctx, d, key, reason, cause, tries); err != nil {", "if err := w.letter(ctx, d, key, reason, cause, tries); err != nil && false {"),
		one(5, "acknowledged without waiting for the server", "every terminal acknowledgement is confirmed by the server",
			"pkg/queue/consumer.go", "err = msg.DoubleAck(ctx)", "_, err = ctx, msg.Ack()"),
		one(5, "acknowledged although AUDIT refuses", "the audit event comes before the acknowledgement",
			"pkg/transfer/copier.go", "if err := c.audit(ctx, job, held.Digest, found, outcome); err != nil {", "if err := c.audit(ctx, job, held.Digest, found, outcome); err != nil && false {"),
		one(6, "pulled although the breaker is open", "nothing is pulled while the breaker is open",
			"pkg/tier/breaker/breaker.go", "b.sick.RecordFailure()", "b.sick.State()"),
		one(6, "pulled although AUDIT refuses", "nothing is pulled while AUDIT takes nothing",
			"pkg/worker/worker.go", "if w.gate.refusing.Load() {", "if false {"),
		one(6, "kept at a stop", "what was held at a stop is handed back at once",
			"pkg/queue/consumer.go", "\tdefault:\n\t\tc.handBack(msg, meta, 0)", "\tdefault:"),
		{rule: 6, name: "a cut-off worker lets its messages wait", in: "pkg/worker", breaks: "TestWhatOthersCanDoIsHandedBackAtOnce", edits: []edit{
			{"pkg/worker/aside.go", "return n <= k.config.DegradedAfter || k.shut() != nil", "return n <= k.config.DegradedAfter"},
		}},
		{rule: 6, name: "what fails everywhere goes round without a wait", in: "pkg/worker", breaks: "TestWhatOthersCanDoIsHandedBackAtOnce", edits: []edit{
			{"pkg/worker/aside.go", "return n <= k.config.DegradedAfter || k.shut() != nil", "return true"},
		}},
		one(7, "a sick store counts against the recording", "a letter has its true reason",
			"pkg/worker/judge.go", "\t\treturn blame{counted: true}\n\t}\n\treturn blame{}", "\t}\n\treturn blame{counted: true}"),
		{rule: 9, name: "a body that ends too early is taken", breaks: "what is stored is what the platform gave", or: "a letter has its true reason", edits: []edit{
			{"pkg/mediasource/mediasource.go", "case m.Size >= 0 && m.seen < m.Size:", "case m.Size >= 0 && m.seen < 0:"},
		}},
		{rule: 9, name: "an error page is taken", breaks: "what is stored is what the platform gave", or: "a letter has its true reason", edits: []edit{
			{"pkg/mediasource/mediasource.go", "if err := checkMagic(format, m.head); err != nil {", "if err := checkMagic(format, m.head); err != nil && false {"},
		}},
		{rule: 10, name: "ranges of two versions are spliced", breaks: "what is stored is what the platform gave", edits: []edit{
			{"pkg/mediasource/answer.go", `header.Set("If-Range", s.etag)`, ""},
			{"pkg/mediasource/answer.go", `if strong(resp.Header.Get("ETag")) != s.etag {`, "if false {"},
		}},
		{rule: 11, name: "the whole's checksum is the last part's", breaks: "everything comes to an end", or: "a letter has its true reason", edits: []edit{
			{"pkg/digest/digest.go", "h.crc = Combine(h.crc, crc, int64(len(p)))", "h.crc = crc"},
		}},
		one(11, "what is kept of memory is not bound", "memory is bounded",
			"pkg/transfer/buffers.go", "for b.used+b.spare > b.limit {", "for b.used+b.spare > 2*b.limit {"),
		one(12, "committed without an agreement", "nothing is committed that was not agreed on",
			"pkg/transfer/agree.go", "held, err = c.Agreement.Agree(ctx, job.key(), offer)", "held, err = digest.Held{Entry: offer}, nil"),
		one(12, "other bytes than agreed are committed", "nothing is committed but what was agreed on",
			"pkg/transfer/agree.go", "if held.Digest != d {", "if held.Digest = d; false {"),
		one(12, "acknowledged before the sidecar is there", "acknowledged means stored",
			"pkg/transfer/copier.go", "if err := c.writeSidecar(ctx, job, held); err != nil {", "if err := c.writeSidecar(ctx, job, held); err != nil && false {"),
		one(13, "a lost answer counts as done", "an acknowledgement rests on a Stat or a verified write in this delivery",
			"pkg/transfer/commit.go", "return c.prove(ctx, agreed, outcome)", "return info, outcome, nil"),
		one(13, "other bytes of the same length pass for the agreed ones", "acknowledged means stored",
			"pkg/transfer/commit.go", `return "", conflict(fault.Store, op, "an object of that key with other bytes is there")`, "return same, nil"),
		{rule: 13, name: "the commit is not conditional", in: "pkg/objstore/s3store", breaks: "TestWhatIsConfiguredIsAskedFor", edits: []edit{
			{"pkg/objstore/s3store/writer.go", `IfNoneMatch: aws.String("*"),`, ""},
		}},
		one(14, "the orphan of the last holder is left alone", "a noted upload is not left open",
			"pkg/transfer/claim.go", "if orphan == \"\" {", "if orphan != \"\" || orphan == \"\" {"),
		{rule: 14, name: "two attempts share their blocks' IDs", in: "pkg/objstore/azstore", breaks: "TestBlockIDsAreOfOneLengthAndNeverTheSame", edits: []edit{
			{"pkg/objstore/azstore/upload.go", "_, _ = rand.Read(id[:nonceSize]) // never fails", "_ = rand.Read"},
		}},
		one(15, "the claim is not looked at before the commit", "whoever has a claim looks whether it still is theirs before the commit",
			"pkg/transfer/copier.go", "if err := hold.check(ctx); err != nil {", "if err := error(nil); err != nil {"),
		one(15, "done is believed without a Stat", "an acknowledgement rests on a Stat or a verified write in this delivery",
			"pkg/transfer/present.go", "info, err := c.Store.Stat(ctx, held.ObjectKey)", "info, err := objstore.Info{Size: held.Size, CRC64: held.CRC64, HasCRC64: true}, error(nil)"),
		one(17, "a throttle does not open the breaker", "nothing is pulled while the breaker is open",
			"pkg/tier/breaker/breaker.go", "_ = b.throttle.Run(func() error { return asked(after) })", "_ = asked(after)"),
		one(18, "never degraded", "a degraded tier has one recording in hand",
			"pkg/tier/health.go", "if h.state == Healthy && h.failures >= h.rules.DegradedAfter {", "if false {"),
		one(18, "one store clears what took three failures", "a degraded tier has one recording in hand",
			"pkg/tier/health.go", "if h.stored++; h.stored >= clearAfter {", "if h.stored++; h.stored >= 1 {"),
	}
}
