package conditioner_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/lrng-go/lrng/conditioner"
)

// components lists the vetted conditioning components with what Table 1 of
// SP 800-90B says of them: nout = nw = the size of the output. The sizes of the
// blocks are those of FIPS 180-4, Figure 1, and FIPS 202, Table 3.
var components = []struct {
	c     conditioner.Conditioner
	name  string
	width int // bits
	block int // bytes
}{
	{conditioner.SHA256, "SHA-256", 256, 64},
	{conditioner.SHA384, "SHA-384", 384, 128},
	{conditioner.SHA512, "SHA-512", 512, 128},
	{conditioner.SHA3_256, "SHA3-256", 256, 136},
	{conditioner.SHA3_384, "SHA3-384", 384, 104},
	{conditioner.SHA3_512, "SHA3-512", 512, 72},
}

func TestNameAndWidth(t *testing.T) {
	for _, tt := range components {
		if got := tt.c.Name(); got != tt.name {
			t.Errorf("Name() = %q, want %q", got, tt.name)
		}
		if got := fmt.Sprint(tt.c); got != tt.name {
			t.Errorf("%s prints as %q", tt.name, got)
		}
		if got := tt.c.Width(); got != tt.width {
			t.Errorf("%s: Width() = %d, want %d", tt.name, got, tt.width)
		}
		h := tt.c.New()
		if got := len(h.Sum(nil)); got*8 != tt.width || h.Size() != got {
			t.Errorf("%s: Sum appends %d bytes, Size() = %d, Width() = %d bits", tt.name, got, h.Size(), tt.width)
		}
		if got := h.BlockSize(); got != tt.block {
			t.Errorf("%s: BlockSize() = %d, want %d", tt.name, got, tt.block)
		}
	}
}

func TestComparable(t *testing.T) {
	for i, a := range components {
		for j, b := range components {
			if (a.c == b.c) != (i == j) {
				t.Errorf("%s == %s is %t", a.name, b.name, a.c == b.c)
			}
		}
	}
}

// The messages are those of the examples with intermediate values that NIST
// publishes for FIPS 180-4 (one and two blocks, and the million letters a that
// came with FIPS 180-2) and FIPS 202 (0 and 1600 bits). The vectors with a
// message of three bytes are the power-up tests of ESDM (SHA-512, SHA3-512) and of
// the jitter RNG library (SHA3-256). All were compared with OpenSSL's results.
func TestKnownAnswers(t *testing.T) {
	const (
		oneBlock  = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
		twoBlocks = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"
	)
	million := strings.Repeat("a", 1e6)
	bits1600 := strings.Repeat("\xa3", 200)
	tests := []struct {
		c         conditioner.Conditioner
		msg, want string
	}{
		{conditioner.SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{conditioner.SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{conditioner.SHA256, oneBlock, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		{conditioner.SHA256, million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},

		{conditioner.SHA384, "", "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b"},
		{conditioner.SHA384, "abc", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
		{conditioner.SHA384, twoBlocks, "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039"},
		{conditioner.SHA384, million, "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97ddd87f3d8985"},

		{conditioner.SHA512, "", "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"},
		{conditioner.SHA512, "abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{conditioner.SHA512, twoBlocks, "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909"},
		{conditioner.SHA512, million, "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b"},
		{conditioner.SHA512, "\x7f\xad\x12", "533598e5294918a0af4b3a6231cbd71921db80e100a07495b444c47adbbc9a6476bbc8db8ee30c872f1135f164659c52cec77ccfb8c7d85763daee079f600c79"},

		{conditioner.SHA3_256, "", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"},
		{conditioner.SHA3_256, "abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"},
		{conditioner.SHA3_256, bits1600, "79f38adec5c20307a98ef76e8324afbfd46cfd81b22e3973c65fa1bd9de31787"},
		{conditioner.SHA3_256, "\x5e\x5e\xd6", "f16e66c04372b4a3e1e32e07c41c03408ad543868cc40ec55e00bbbbbdf5911e"},

		{conditioner.SHA3_384, "", "0c63a75b845e4f7d01107d852e4c2485c51a50aaaa94fc61995e71bbee983a2ac3713831264adb47fb6bd1e058d5f004"},
		{conditioner.SHA3_384, "abc", "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25"},
		{conditioner.SHA3_384, bits1600, "1881de2ca7e41ef95dc4732b8f5f002b189cc1e42b74168ed1732649ce1dbcdd76197a31fd55ee989f2d7050dd473e8f"},

		{conditioner.SHA3_512, "", "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a615b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26"},
		{conditioner.SHA3_512, "abc", "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"},
		{conditioner.SHA3_512, bits1600, "e76dfad22084a8b1467fcf2ffa58361bec7628edf5f3fdc0e4805dc48caeeca81b7c13c30adf52a3659584739a2df46be589c51ca1a4a8416df6545a1ce8ba00"},
		{conditioner.SHA3_512, "\x82\xd9\x19", "76755282a9c50a67fe69bd3fcefe12e71de04fa251c67e9cc85c7fabc6cc89ca9b28883b2adb2284695dd04377553219c8fd07a94c29d746ccefb1096ede4291"},
	}
	for _, tt := range tests {
		h := tt.c.New()
		// Cut into pieces of all kinds of lengths: 1, 2, 4, … bytes.
		for rest, n := []byte(tt.msg), 1; len(rest) > 0; n *= 2 {
			n = min(n, len(rest))
			h.Write(rest[:n])
			rest = rest[n:]
		}
		label := fmt.Sprintf("%v of %d bytes", tt.c, len(tt.msg))
		if got := hex.EncodeToString(h.Sum(nil)); got != tt.want {
			t.Errorf("%s: got %s, want %s", label, got, tt.want)
		}
		// Sum leaves the state as it is and appends.
		if got := h.Sum([]byte("x")); got[0] != 'x' || hex.EncodeToString(got[1:]) != tt.want {
			t.Errorf("%s: the second Sum is %x", label, got)
		}
		h.Reset()
		h.Write([]byte(tt.msg))
		if got := hex.EncodeToString(h.Sum(nil)); got != tt.want {
			t.Errorf("%s after Reset: got %s, want %s", label, got, tt.want)
		}
	}
}

// New returns states that share nothing, also when called at the same time.
func TestStatesAreIndependent(t *testing.T) {
	for _, tt := range components {
		want := tt.c.New().Sum(nil)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				other, h := tt.c.New(), tt.c.New()
				other.Write([]byte{byte(i)})
				if got := h.Sum(nil); !bytes.Equal(got, want) {
					t.Errorf("%s: a new state gives %x, want %x", tt.name, got, want)
				}
			})
		}
		wg.Wait()
	}
}

func TestReuseDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	in := make([]byte, 333)
	for _, tt := range components {
		h := tt.c.New()
		out := make([]byte, 0, tt.width/8)
		n := testing.AllocsPerRun(100, func() {
			h.Reset()
			h.Write(in)
			out = h.Sum(out[:0])
			h.Write(out)
			out = h.Sum(out[:0])
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for Reset, Write and Sum", tt.name, n)
		}
	}
}

// The comment of the variables says how to overwrite what Reset leaves.
func TestWipeBetweenResets(t *testing.T) {
	for _, tt := range components {
		for _, size := range []int{1, tt.block - 1, tt.block, tt.block + 1, 3*tt.block - 1} {
			h := tt.c.New()
			h.Write(bytes.Repeat([]byte{0xa5}, size))
			h.Reset()
			zeros := make([]byte, tt.block)
			h.Write(zeros[:1])
			h.Write(zeros[1:])
			h.Reset()
			if !reflect.DeepEqual(h, tt.c.New()) {
				t.Errorf("%s: after %d bytes the state is not as new", tt.name, size)
			}
		}
	}
}
