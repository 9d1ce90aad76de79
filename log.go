package lrng

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/seeding"
)

// A logger writes events to a slog.Logger, or nowhere. Events carry counts and
// bits, never data. No lock that a reader of a seeded generator needs is held
// while it is called.
type logger struct{ l *slog.Logger }

func (g logger) enabled(level slog.Level) bool {
	return g.l != nil && g.l.Enabled(context.Background(), level)
}

func (g logger) write(level slog.Level, msg string, attrs ...slog.Attr) {
	if g.enabled(level) {
		g.l.LogAttrs(context.Background(), level, msg, attrs...)
	}
}

func (g logger) level(from, to seeding.Level) {
	g.write(slog.LevelInfo, "lrng: level", slog.String("from", from.String()), slog.String("to", to.String()))
}

func (g logger) seeded(shard int, first bool, credit int) {
	msg := "lrng: reseeded"
	if first {
		msg = "lrng: seeded"
	}
	g.write(slog.LevelInfo, msg, slog.Int("shard", shard), slog.Int("credit", credit))
}

func (g logger) round(st seeding.Stage, bits int, credits []seeding.Credit, level seeding.Level, verdict string) {
	if !g.enabled(slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{slog.String("stage", st.String()), slog.Int("requested", bits), slog.String("level", level.String()), slog.String("verdict", verdict)}
	for _, c := range credits {
		attrs = append(attrs, slog.Int("credit_"+c.Source.Name, c.Bits))
	}
	g.write(slog.LevelDebug, "lrng: round", attrs...)
}

// answers tells what became of each source in a round, in the terms of the slides on
// LRNG. Left is what the source could credit at once now.
func (g logger) answers(sources []*source, answers []answer, bits int) {
	if !g.enabled(slog.LevelDebug) {
		return
	}
	for i, s := range sources {
		a, collected, left := answers[i], 0, 0
		if a.ok {
			collected = bits
		}
		guard(func() { left = s.Available(bits) })
		g.write(slog.LevelDebug, "lrng: source", slog.String("source", s.info.Name), slog.Int("requested", bits), slog.Int("collected", collected),
			slog.Int("claimed", a.claim), slog.Int("credited", a.credit), slog.Int("left", max(0, left)))
	}
}

func (g logger) conditioned(name string, from, to int) {
	g.write(slog.LevelDebug, "lrng: shortened", slog.String("conditioner", name), slog.Int("from", from), slog.Int("to", to))
}

func (g logger) pause(d time.Duration, failed int) {
	g.write(slog.LevelDebug, "lrng: no entropy", slog.Int("rounds", failed), slog.Duration("pause", d))
}

func (g logger) fresh(msg string, bytes, credit int) {
	g.write(slog.LevelDebug, msg, slog.Int("bytes", bytes), slog.Int("credit", credit))
}

func (g logger) added(bytes, bits int) {
	g.write(slog.LevelDebug, "lrng: entropy added", slog.Int("bytes", bytes), slog.Int("credit", bits))
}

func (g logger) getSeed(bits, credit int) {
	g.write(slog.LevelInfo, "lrng: seed for another generator", slog.Int("requested", bits), slog.Int("credit", credit))
}

func (g logger) sourceFailed(name, text string, err error) {
	attrs := []slog.Attr{slog.String("source", name), slog.String("error", text)}
	if p, ok := err.(*panicError); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	g.write(slog.LevelWarn, "lrng: source failed", attrs...)
}

func (g logger) noiseLow(name string, e *es.NoiseEstimate) {
	g.write(slog.LevelWarn, "lrng: noise is below its claim", slog.String("source", name), slog.Float64("min_entropy", e.MinEntropy), slog.Float64("claim", e.Claim), slog.Uint64("windows", e.Windows), slog.Uint64("low", e.Low))
}

func (g logger) mechanismFailed(err error) {
	g.write(slog.LevelError, "lrng: mechanism failed", slog.String("error", err.Error()))
}

func (g logger) waiting(msg string) { g.write(slog.LevelWarn, msg) }

func (g logger) switched(what, from, to string) {
	g.write(slog.LevelInfo, "lrng: "+what+" switched", slog.String("from", from), slog.String("to", to))
}

func (g logger) rate(name string, bits int) {
	g.write(slog.LevelInfo, "lrng: source rate", slog.String("source", name), slog.Int("bits", bits))
}

func (g logger) copied(page string, changes uint64) {
	g.write(slog.LevelWarn, "lrng: the machine was copied", slog.String("page", page), slog.Uint64("changes", changes))
}

func (g logger) restless(page string) {
	g.write(slog.LevelError, "lrng: no longer looks at a page that changes all the time", slog.String("page", page))
}

func (g logger) closed() { g.write(slog.LevelInfo, "lrng: closed") }

// warnStderr is the warning of the default generator, which has no logger. It
// is what crypto/rand does.
func warnStderr(msg string) { os.Stderr.WriteString(msg + "\n") }
