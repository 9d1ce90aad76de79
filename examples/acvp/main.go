// Acvp answers the test vectors of NIST's Automated Cryptographic Validation
// Protocol (ACVP) with the generators and the conditioning components of lrng: it
// is the harness that a laboratory puts between its ACVP client and the library.
//
// It reads a vector set from standard input, as the server sends it, and writes the
// answers to standard output, in the form that the server takes:
//
//	go run ./examples/acvp <prompt.json >answer.json
//
// A vector set stands alone or in the array that begins with the version of the
// protocol, and so do the answers. This is what it knows:
//
//	ctrDRBG             1.0        AES-128, AES-192, AES-256, with and without derivation function
//	hashDRBG, hmacDRBG  1.0        SHA2-256, SHA2-384, SHA2-512, SHA2-512/256, SHA3-256, SHA3-384, SHA3-512
//	SHA2-256/384/512    1.0        tests of type AFT, MCT and LDT
//	SHA3-256/384/512    1.0, 2.0   the same
//
// Messages and outputs are whole bytes.
//
// # Registration
//
//	go run ./examples/acvp -registration
//
// writes all of that as the request which opens a test session. A laboratory takes
// out what its module does not claim, and adds the prerequisites (prereqVals).
//
// # Check
//
//	go run ./examples/acvp -check expectedResults.json <prompt.json
//
// compares the answers with the ones that the server gives for sample vector sets,
// and says which differ. The letters of hexadecimal numbers may be large or small.
//
// # Large data tests
//
// The specification wants the message of a large data test hashed in a single call
// of Update, so it is in memory as a whole. Flag -ldt is the number of GiB that there
// are for it. Messages beyond are refused; the registration asks for none.
//
// # Errors
//
// A prompt is answered entirely or not at all. What the harness does not know, a
// length that differs from the one of its group, a prompt that is cut off: all are
// errors. They go to standard error with the identifiers of the vector set, the group
// and the test; standard output stays empty, and the exit status is 1.
//
// Right answers to the vectors are a part of a validation. lrng is designed to meet
// the standards; it is not validated.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// maxInput is the length of the longest file that is read, in bytes. The vector
// sets that NIST publishes for these algorithms have at most some 2 MB.
const maxInput = 256 << 20

// maxLDT is the largest message of a large data test that can be registered, in
// GiB.
const maxLDT = 8

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main. It returns the exit status: 0, 1 after an error, 2 if it was called
// in a wrong way.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("acvp", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "Usage: acvp [-ldt GiB] <prompt.json >answer.json\n"+
			"       acvp [-ldt GiB] -check expectedResults.json <prompt.json\n"+
			"       acvp [-ldt GiB] -registration >registration.json\n")
		flags.PrintDefaults()
	}
	register := flags.Bool("registration", false, "write the registration of what the library implements")
	expected := flags.String("check", "", "compare the answers with the ones in `file`")
	ldt := flags.Int("ldt", 1, "memory for the message of a large data test, in `GiB`: 0…8")

	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() != 0:
		fmt.Fprintf(stderr, "acvp: argument %q; the prompt is read from standard input\n", flags.Arg(0))
		return 2
	case *ldt < 0 || *ldt > maxLDT:
		fmt.Fprintf(stderr, "acvp: -ldt %d; want 0…%d\n", *ldt, maxLDT)
		return 2
	case *register && *expected != "":
		fmt.Fprintln(stderr, "acvp: -registration and -check exclude each other")
		return 2
	}

	out, err := output(*register, *expected, *ldt, stdin)
	if err == nil {
		_, err = stdout.Write(out)
	}
	if err != nil {
		fmt.Fprintln(stderr, "acvp:", err)
		return 1
	}
	return 0
}

// output returns all that goes to standard output.
func output(register bool, expected string, ldt int, stdin io.Reader) ([]byte, error) {
	if register {
		return encode(protocolVersion, []registration{newRegistration(ldt)})
	}
	prompt, err := readAll(stdin, maxInput)
	if err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	version, answers, err := answerPrompt(prompt, int64(ldt)<<30)
	switch {
	case err != nil:
		return nil, err
	case expected != "":
		return check(answers, expected)
	}
	return encode(version, answers)
}

// readAll reads a file of 1 to limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("longer than %d bytes", limit)
	case len(data) == 0:
		return nil, errors.New("empty")
	}
	return data, nil
}

// encode returns the sets as a file: in the array that begins with the version, if
// there is a version, and else the only one that there is.
func encode[T any](version string, sets []T) ([]byte, error) {
	var file any = sets[0]
	if version != "" {
		array := []any{protocol{&version}}
		for _, set := range sets {
			array = append(array, set)
		}
		file = array
	}
	data, err := json.MarshalIndent(file, "", "  ")
	return append(data, '\n'), err
}
