package assess

import (
	"os"
	"path/filepath"
	"testing"
)

func BenchmarkNonIID(b *testing.B) {
	samples, err := os.ReadFile(filepath.Join(vectorDir(b), "normal.bin"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(samples)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NonIID(b.Context(), samples, 8, &Options{Workers: 1}); err != nil {
			b.Fatal(err)
		}
	}
}
