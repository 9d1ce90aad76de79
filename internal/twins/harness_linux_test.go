package twins

import (
	"os"
	"os/exec"
	"testing"
)

// The harness in testdata/clones is run on demand, and the go command leaves testdata out
// unless told: it compiles at least.
func TestHarnessCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("compiling takes seconds")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command")
	}
	cmd := exec.Command(tool, "build", "-o", os.DevNull, "./testdata/clones")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOFLAGS=-mod=readonly")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
