package main

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"time"
)

// Tally collects what the answers were and how long they took.
type Tally struct {
	latencies map[string][]time.Duration // by outcome: a status, "function error" or "broken connection"
	numbers   []int
	keep      bool
}

// Summary is what is printed. Times in milliseconds.
type Summary struct {
	Count       int                `json:"count"`
	Errors      map[string]int     `json:"errors"`
	WallSeconds float64            `json:"wallSeconds"`
	Rate        float64            `json:"rate"`
	OK          *Spread            `json:"ok"`
	ByOutcome   map[string]*Spread `json:"byOutcome"`
	Samples     []float64          `json:"samples,omitempty"`
}

// Spread is how latencies are distributed, milliseconds.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func newTally(keepNumbers bool) *Tally {
	return &Tally{latencies: map[string][]time.Duration{}, keep: keepNumbers}
}

func (t *Tally) answered(number int, outcome string, latency time.Duration) {
	t.latencies[outcome] = append(t.latencies[outcome], latency)
	if t.keep && isGood(outcome) {
		t.numbers = append(t.numbers, number)
	}
}

func (t *Tally) summary(wall time.Duration, samples bool) Summary {
	summary := Summary{Errors: map[string]int{}, ByOutcome: map[string]*Spread{}, WallSeconds: wall.Seconds()}
	var good []time.Duration
	for name, latencies := range t.latencies {
		summary.Count += len(latencies)
		if isGood(name) {
			good = append(good, latencies...)
		} else {
			summary.Errors[name] = len(latencies)
		}
		if samples && isGood(name) {
			for _, latency := range latencies {
				summary.Samples = append(summary.Samples, milliseconds(latency))
			}
		}
		summary.ByOutcome[name] = spread(latencies)
	}
	summary.OK = spread(good)
	summary.Rate = float64(len(good)) / wall.Seconds()
	return summary
}

func (t *Tally) writeAnswered(path string) error {
	var text bytes.Buffer
	for _, number := range t.numbers {
		text.WriteString(strconv.Itoa(number))
		text.WriteByte('\n')
	}
	return os.WriteFile(path, text.Bytes(), 0o600)
}

func isGood(outcome string) bool { return outcome[0] == '2' }

func spread(latencies []time.Duration) *Spread {
	if len(latencies) == 0 {
		return nil
	}
	slices.Sort(latencies)
	at := func(share float64) float64 {
		return milliseconds(latencies[min(len(latencies)-1, int(share*float64(len(latencies))))])
	}
	return &Spread{len(latencies), at(0.5), at(0.9), at(0.99), at(1)}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
