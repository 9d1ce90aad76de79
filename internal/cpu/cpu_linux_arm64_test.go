package cpu

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What cpuid found is what the kernel announces: HWCAP2_RNG
// (arch/arm64/include/uapi/asm/hwcap.h).
func TestRNDRAgainstKernel(t *testing.T) {
	auxv, err := unix.Auxv()
	if err != nil {
		t.Fatal(err)
	}
	want := false
	for _, entry := range auxv {
		if entry[0] == 26 { // AT_HWCAP2
			want = entry[1]>>16&1 == 1
		}
	}
	if got := HasRNDR(); got != want {
		t.Errorf("got %v, the kernel says %v", got, want)
	}
}
