package es_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/lrng-go/lrng/conditioner"
	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

// busy returns a source to which the events of a busy program are reported until the
// test ends.
func busy(t *testing.T, c es.EventsConfig) es.Source {
	e := es.NewEvents(c)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ping, pong := make(chan struct{}), make(chan struct{})
		go func() {
			for range ping {
				e.Add(1)
				pong <- struct{}{}
			}
			close(pong)
		}()
		defer close(ping)
		for i := uint32(0); ; i++ {
			ping <- struct{}{}
			<-pong
			e.Add(i)
			if i%100 != 0 {
				continue
			}
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { close(end); <-ended })
	// The start-up test.
	for p := make([]byte, 1); ; {
		if _, err := e.GetEntropy(t.Context(), p, 0); err == nil {
			return e
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEventsConformance(t *testing.T) {
	for _, c := range []es.EventsConfig{
		{},
		{Rate: 16, OSR: 2, Conditioner: conditioner.SHA256},
		{NoContinuousCompression: true, Array: 1024},
	} {
		if testing.Short() && c.Rate != 0 {
			continue
		}
		t.Run(fmt.Sprintf("osr=%d", c.OSR), func(t *testing.T) {
			estest.Run(t, func() es.Source { return busy(t, c) })
		})
	}
}

// A program reports the arrival of each request. The length of the path is not random,
// nor is it credited: it is there because it costs nothing.
func ExampleNewEvents() {
	events := es.NewEvents(es.EventsConfig{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		events.Add(uint32(len(r.URL.Path)))
		fmt.Fprintln(w, "hello")
	})
	_ = handler

	// After too few requests there is nothing to credit, and nothing to deliver.
	credit, err := events.GetEntropy(context.Background(), make([]byte, 32), 256)
	fmt.Println(credit, err)
	// Output: 0 es: events: too few events for the start-up test: es: source unavailable
}

func TestSchedulerConformance(t *testing.T) {
	for _, c := range []es.SchedulerConfig{
		{Rate: 16, OSR: 1, Conditioner: conditioner.SHA256},
		{},
	} {
		if testing.Short() && c.OSR == 0 {
			continue // it takes a second or more
		}
		t.Run(fmt.Sprintf("osr=%d", c.OSR), func(t *testing.T) {
			estest.Run(t, func() es.Source { return es.NewScheduler(c) })
		})
	}
}

// A source for a machine whose scheduler an assessment found to be poor in noise, and
// which therefore takes ten wake-ups for each bit.
func ExampleNewScheduler() {
	s := es.NewScheduler(es.SchedulerConfig{OSR: 10})
	fmt.Println(s.Info().Name, s.Available(256))
	// Output: scheduler 256
}
