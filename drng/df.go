package drng

import (
	"encoding/binary"

	"github.com/lrng-go/lrng/internal/aesctr"
	"github.com/lrng-go/lrng/internal/zero"
)

// A ctrDF is the derivation function of CTR_DRBG: Block_Cipher_df with AES, SP
// 800-90A Rev. 1, Section 10.3.2.
type ctrDF struct {
	keySize int // in bytes

	// The constant key of Step 8, and for each chain i the value of BCC after its
	// first block, IV = i ‖ 0…: Block_Encrypt(K, IV). Neither is a secret.
	cipher ctrCipher
	start  ctrChains

	derived ctrCipher // with the key of Step 10

	// Secret memory of the mechanism; nil without a state.
	*ctrDFMemory
	buf *ctrWork // S, as far as it has not gone into the chains; then temp
}

// ctrDFMemory is what is at work; zero between calls.
type ctrDFMemory struct {
	expanded aesctr.Key // of derived
	chains   ctrChains
	n, most  int // bytes in buf, now and up to now
}

// ctrChains are the chaining values of BCC, one for each block of temp.
type ctrChains = [aesctr.Chains][ctrBlockSize]byte

// init prepares d for AES with keys of keySize bytes. Buf is that of [ctrCipher.init].
func (d *ctrDF) init(keySize int, buf *ctrBuf) {
	d.keySize = keySize
	d.cipher.own = new(aesctr.Key)
	d.cipher.init(buf)
	d.derived.init(buf)

	// Step 8: K = leftmost(0x00010203…1D1E1F, keylen).
	var k [ctrMaxKeySize]byte
	for i := range k {
		k[i] = byte(i)
	}
	d.cipher.setKey(k[:keySize])

	// Step 9.1: the IV is i in 32 bits, followed by zeros. The chaining value is
	// added to the block before encryption, so it can bring the IV in.
	for i := range d.start {
		binary.BigEndian.PutUint32(d.start[i][:], uint32(i))
	}
	d.cipher.bcc(&d.start, make([]byte, ctrBlockSize))
}

// derive sets out to the requested bits for the input string a ‖ b. Out has
// seedlen bits, a and b together at most ctrMaxDFInput bytes.
func (d *ctrDF) derive(out, a, b []byte) {
	defer d.wipe()

	// Block_Cipher_df, SP 800-90A Rev. 1, Section 10.3.2. Step 1 is fulfilled:
	// seedlen is at most 384 bits, and 512 are allowed.

	// Steps 6, 7 and 9: temp = BCC(K, IV ‖ S) for i = 0, 1, 2, side by side. AES-128
	// needs the first two. S goes into the chains as it comes about.
	d.chains = d.start
	// Steps 2 and 3: L and N, in bytes.
	binary.BigEndian.PutUint32(d.buf[0:], uint32(len(a)+len(b)))
	binary.BigEndian.PutUint32(d.buf[4:], uint32(len(out)))
	d.n = 8
	// Steps 4 and 5: S = L ‖ N ‖ input_string ‖ 0x80 ‖ 0….
	d.write(a)
	d.write(b)
	d.buf[d.n] = 0x80 // write leaves room
	d.n++
	for d.n%ctrBlockSize != 0 {
		d.buf[d.n] = 0
		d.n++
	}
	d.cipher.bcc(&d.chains, d.buf[:d.n])
	temp := d.buf[:aesctr.Chains*ctrBlockSize]
	d.most = max(d.most, d.n, len(temp))
	for i := range d.chains {
		copy(temp[i*ctrBlockSize:], d.chains[i][:])
	}

	// Step 10.
	d.derived.setKey(temp[:d.keySize])
	// Step 11.
	x := (*[ctrBlockSize]byte)(temp[d.keySize:])
	// Steps 12 to 14.
	d.derived.iterate(out, x)
}

// write appends p to S. It leaves room in d.buf for at least one byte.
func (d *ctrDF) write(p []byte) {
	for len(p) > 0 {
		m := copy(d.buf[d.n:], p)
		p = p[m:]
		if d.n += m; d.n == len(d.buf) {
			d.cipher.bcc(&d.chains, d.buf[:])
			d.n, d.most = 0, len(d.buf)
		}
	}
}

// wipe clears what the last call left.
func (d *ctrDF) wipe() {
	d.derived.clear()
	for i := range d.chains {
		zero.Bytes(d.chains[i][:])
	}
	zero.Bytes(d.buf[:d.most])
	d.n, d.most = 0, 0
}
