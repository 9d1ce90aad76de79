package drng

import (
	"fmt"
	"testing"
)

// BenchmarkHash measures the mechanisms that are built on a hash function.
func BenchmarkHash(b *testing.B) {
	for _, m := range hashMechanisms() {
		d := hashSeeded(b, m)
		for _, size := range []int{16, 32, 64, 128, 256, 1024, 4096, 65536} {
			b.Run(fmt.Sprintf("drng=%s/size=%d", m.name, size), func(b *testing.B) {
				out := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if err := d.Generate(out, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("drng=%s/reseed", m.name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Seed(hashTestSeed[:48], nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
