package es_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lrng-go/lrng/es"
	"github.com/lrng-go/lrng/es/estest"
)

func TestSeedFileConformance(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		estest.Run(t, func() es.Source { return es.NewSeedFile(es.SeedFileConfig{}) })
	})
	t.Run("mixed in", func(t *testing.T) {
		estest.Run(t, func() (es.Source, error) {
			c := es.SeedFileConfig{Path: filepath.Join(t.TempDir(), "seed")}
			if err := es.NewSeedFile(c).Save(t.Context(), rand.Reader); err != nil {
				return nil, err
			}
			return es.NewSeedFile(c), nil
		})
	})
	t.Run("credited", func(t *testing.T) {
		estest.Run(t, func() es.Source { return es.NewCreditedSeedFile(t) })
	})
}

// A program leaves a seed for the next time. Here it is the same boot of the machine, in
// which nothing is credited; by default nothing is in any.
func ExampleNewSeedFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	config := es.SeedFileConfig{Path: filepath.Join(dir, "seed")}
	ctx, p := context.Background(), make([]byte, 32)

	first := es.NewSeedFile(config)
	_, err = first.GetEntropy(ctx, p, 256)
	fmt.Println("first run, unavailable:", errors.Is(err, es.ErrUnavailable))
	generator := rand.Reader // in a program: an lrng.RNG
	fmt.Println("saved:", first.Save(ctx, generator))

	second := es.NewSeedFile(config)
	credit, err := second.GetEntropy(ctx, p, 256)
	fmt.Println("second run, credit:", credit, err)
	fmt.Println(second.Uncredited())
	// Output:
	// first run, unavailable: true
	// saved: <nil>
	// second run, credit: 0 <nil>
	// es: seed-file: configuration: no credit
}

// A program that keeps its file up to date as long as it runs.
func ExampleSeedFile_Keep() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "seed")
	file := es.NewSeedFile(es.SeedFileConfig{Path: path})
	generator := rand.Reader // in a program: an lrng.RNG that has file among its sources

	ctx, stop := context.WithCancel(context.Background())
	var saving sync.WaitGroup
	saving.Go(func() {
		if err := file.Keep(ctx, generator, 0); err != nil {
			fmt.Println("no seed for the next time:", err)
		}
	})
	// … the program does what it is for, and then:
	stop()
	saving.Wait()

	_, err = os.Stat(path)
	fmt.Println("saved:", err == nil)
	// Output: saved: true
}
