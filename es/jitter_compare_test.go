package es

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkJitterentropy measures jitterentropy-library beside this package: blocks of
// 256 bits at the default rate of either, one after the other. It needs a C compiler
// and the library (Debian: libjitterentropy3-dev), and honors CC, CFLAGS and LDFLAGS.
// For a library that was built and not installed:
//
//	CFLAGS=-I/path LDFLAGS=-L/path go test -run "^$" -bench Jitterentropy -v ./es
//
// In its FIPS mode the library collects 65 bits more than the 256, and this package
// always 64; otherwise 256. The metric version is that of the library, as it counts.
//
// On the machine of package internal/jitter, which was busy, the processor time of a
// block was 6.7 ms with jitterentropy-library 3.6.3, 8.2 ms in its FIPS mode, and 1.8 ms
// here; the shortest of many blocks took 12, 15 and 1.4 ms.
func BenchmarkJitterentropy(b *testing.B) {
	program, err := buildJitterentropy(b.TempDir())
	if err != nil {
		b.Skip(err)
	}
	for _, mode := range []string{"", "fips"} {
		b.Run("library=jitterentropy/mode="+mode, func(b *testing.B) {
			// The loop is in the other program: it reports the time of one block.
			out, err := exec.Command(program, strings.Fields(fmt.Sprint(b.N, " ", mode))...).CombinedOutput()
			if err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			var version, ns float64
			if _, err := fmt.Sscan(string(out), &version, &ns); err != nil {
				b.Fatalf("%q: %v", out, err)
			}
			b.ReportMetric(ns, "ns/op")
			b.ReportMetric(version, "version")
		})
	}
	for _, noise := range []JitterNoise{JitterMixed, JitterMemory, JitterHash} {
		b.Run("library=lrng/noise="+noise.name(), func(b *testing.B) {
			j := realJitter(b, JitterConfig{Noise: noise})
			p := make([]byte, 32)
			for b.Loop() {
				if _, err := j.GetEntropy(context.Background(), p, 256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// buildJitterentropy compiles the program that measures the library, in dir, and
// returns its path, or what is missing.
func buildJitterentropy(dir string) (string, error) {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	path, err := exec.LookPath(cc)
	if err != nil {
		return "", fmt.Errorf("no C compiler: %w", err)
	}
	program := filepath.Join(dir, "jitterentropy")
	args := append(strings.Fields(os.Getenv("CFLAGS")), "-O2", "-o", program, filepath.Join("testdata", "jitterentropy.c"))
	args = append(args, strings.Fields(os.Getenv("LDFLAGS"))...)
	args = append(args, "-ljitterentropy", "-lpthread")
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		line, _, _ := bytes.Cut(out, []byte("\n"))
		return "", fmt.Errorf("jitterentropy-library is not installed, or CFLAGS and LDFLAGS do not lead to it: %w: %s", err, line)
	}
	return program, nil
}
