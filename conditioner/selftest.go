package conditioner

import (
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"

	"github.com/lrng-go/lrng/internal/selftest"
)

// The inputs of the known-answer tests, in hexadecimal. They fill more than one block
// of each hash function.
const (
	// "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
	message448 = "6162636462636465636465666465666765666768666768696768696a68696a6b696a6b6c6a6b6c6d6b6c6d6e6c6d6e6f6d6e6f706e6f7071"

	// "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
	message896 = "61626364656667686263646566676869636465666768696a6465666768696a6b65666768696a6b6c666768696a6b6c6d6768696a6b6c6d6e68696a6b6c6d6e6f" +
		"696a6b6c6d6e6f706a6b6c6d6e6f70716b6c6d6e6f7071726c6d6e6f707172736d6e6f70717273746e6f707172737475"

	// 200 bytes of 0xa3.
	message1600 = a3x50 + a3x50 + a3x50 + a3x50
	a3x50       = "a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3"
)

// The known-answer tests, by the names of the functions. Messages and answers are
// those of the examples that NIST publishes for FIPS 180-4 (two blocks) and FIPS 202
// (1600 bits): csrc.nist.gov, Cryptographic Standards and Guidelines, Examples with
// Intermediate Values.
var (
	testSHA256 = selftest.New("SHA-256", message448,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
		digestOf(sha256.New))

	testSHA384 = selftest.New("SHA-384", message896,
		"09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039",
		digestOf(sha512.New384))

	testSHA512 = selftest.New("SHA-512", message896,
		"8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433a"+
			"c7d329eeb6dd26545e96e55b874be909",
		digestOf(sha512.New))

	testSHA3_256 = selftest.New("SHA3-256", message1600,
		"79f38adec5c20307a98ef76e8324afbfd46cfd81b22e3973c65fa1bd9de31787",
		digestOf(newSHA3_256))

	testSHA3_384 = selftest.New("SHA3-384", message1600,
		"1881de2ca7e41ef95dc4732b8f5f002b189cc1e42b74168ed1732649ce1dbcdd76197a31fd55ee989f2d7050dd473e8f",
		digestOf(newSHA3_384))

	testSHA3_512 = selftest.New("SHA3-512", message1600,
		"e76dfad22084a8b1467fcf2ffa58361bec7628edf5f3fdc0e4805dc48caeeca81b7c13c30adf52a3659584739a2df46b"+
			"e589c51ca1a4a8416df6545a1ce8ba00",
		digestOf(newSHA3_512))
)

// digestOf returns the function that computes a digest of its argument.
func digestOf(digest func() hash.Hash) func(input []byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		h := digest()
		if _, err := h.Write(input); err != nil {
			return nil, err
		}
		return h.Sum(nil), nil
	}
}

func newSHA3_256() hash.Hash { return sha3.New256() }
func newSHA3_384() hash.Hash { return sha3.New384() }
func newSHA3_512() hash.Hash { return sha3.New512() }
