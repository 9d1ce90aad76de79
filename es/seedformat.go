package es

import (
	"bytes"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"

	"github.com/lrng-go/lrng/internal/zero"
)

// The format of a seed file, version 1. Numbers are big-endian. It is less than a
// sector of a disk, and its length is fixed.
//
//	 0   16  magic; the last byte is the version
//	16    1  state
//	17    7  zero
//	24    8  serial number, 1…2⁶³-1, counts up with each file written
//	32   32  boot: digest of data and the ID of the boot that it was written in
//	64   32  node: digest of data, what the node is known by, and the inode of the file
//	96   64  data
//	160  32  checksum: digest of all that precedes
//
// A digest is SHA-512, cut to 256 bits. In a used file boot, node and data are zero.
//
// The checksum is against accidents, not against forgery: who can write the file
// knows what is in it, and what keeps others from writing it are the owner and the mode.
const (
	seedMagic    = "lrng seed file\x00\x01"
	seedTagSize  = 32
	seedDataSize = 64
	seedSize     = len(seedMagic) + 8 + 8 + 2*seedTagSize + seedDataSize + seedTagSize
)

// A seedState says what a seed file is good for.
type seedState byte

const (
	// seedUsed: the data have been read and overwritten.
	seedUsed seedState = iota

	// seedDerived: the data were derived from those of a file that was used, without
	// anything fresh that somebody vouches for. They are never credited: the entropy
	// has been credited already.
	seedDerived

	// seedFresh: the data contain as many bits as they are long from a generator that
	// was seeded.
	seedFresh
)

type seedTag = [seedTagSize]byte

// A seedImage is the content of a seed file.
type seedImage struct {
	state      seedState
	serial     uint64
	boot, node seedTag
	data       [seedDataSize]byte
}

// encode returns the file.
func (s *seedImage) encode() []byte {
	b := make([]byte, 0, seedSize)
	b = append(b, seedMagic...)
	b = append(b, byte(s.state), 0, 0, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint64(b, s.serial)
	b = append(b, s.boot[:]...)
	b = append(b, s.node[:]...)
	b = append(b, s.data[:]...)
	sum := seedDigest("seed file checksum", b)
	return append(b, sum[:]...)
}

// decode sets s to what b, the whole file, says. Each s has one encoding, and nothing
// else is decoded. If it fails s is cleared.
func (s *seedImage) decode(b []byte) error {
	s.clear()
	if len(b) != seedSize {
		return errors.New("wrong length")
	}
	if !bytes.Equal(b[:len(seedMagic)-1], []byte(seedMagic)[:len(seedMagic)-1]) {
		return errors.New("not a seed file")
	}
	if b[len(seedMagic)-1] != seedMagic[len(seedMagic)-1] {
		return errors.New("unknown version")
	}
	sum := seedDigest("seed file checksum", b[:seedSize-seedTagSize])
	if subtle.ConstantTimeCompare(sum[:], b[seedSize-seedTagSize:]) == 0 {
		return errors.New("wrong checksum")
	}
	b = b[len(seedMagic):]
	s.state = seedState(b[0])
	s.serial = binary.BigEndian.Uint64(b[8:])
	bad := s.state > seedFresh || !bytes.Equal(b[1:8], make([]byte, 7)) || s.serial == 0 || s.serial>>63 != 0
	b = b[16:]
	b = b[copy(s.boot[:], b):]
	b = b[copy(s.node[:], b):]
	copy(s.data[:], b)
	var none seedImage
	if s.state == seedUsed && (s.boot != none.boot || s.node != none.node || s.data != none.data) {
		bad = true
	}
	if bad {
		s.clear()
		return errors.New("impossible content")
	}
	return nil
}

// clear wipes s.
func (s *seedImage) clear() {
	zero.Bytes(s.data[:])
	*s = seedImage{}
}

// bind sets the tags: the file, which has the given inode, belongs to that home.
func (s *seedImage) bind(h *home, inode uint64) {
	s.boot = seedDigest("seed file boot", s.data[:], h.boot)
	s.node = seedDigest("seed file node", s.data[:], h.identity[:], number(inode))
}

// seedDigest is digest, cut to the size of a tag.
func seedDigest(label string, parts ...[]byte) (tag seedTag) {
	sum := digest(label, parts...)
	copy(tag[:], sum[:])
	return tag
}

// A home is what a seed file is bound to.
type home struct {
	identity [sha512.Size]byte
	boot     []byte         // the ID of the boot
	problem  *SeedFileError // why a file is never credited here, or nil
}

// home returns what seed files are bound to here.
func (m *machine) home() home {
	boot := bytes.TrimSpace(m.read("proc/sys/kernel/random/boot_id"))
	id := bytes.TrimSpace(m.read("etc/machine-id"))
	var hardware [][]byte
	if uuid := bytes.TrimSpace(m.read("sys/class/dmi/id/product_uuid")); varied(uuid) {
		hardware = append(hardware, uuid)
	}
	hardware = append(hardware, m.permanentAddresses()...)
	serials := [][]byte{m.read("sys/class/dmi/id/board_serial"), m.read("sys/class/dmi/id/product_serial"), m.read("proc/device-tree/serial-number")}
	h := home{boot: boot, identity: digest("seed file home", id, m.host(),
		bytes.Join(hardware, []byte{0}), bytes.Join(serials, []byte{0}))}
	switch {
	case m.exists("run/systemd/first-boot"):
		h.problem = seedProblem("first boot", "of this machine")
	case len(id) != 32 || !varied(id):
		h.problem = seedProblem("first boot", "the machine has no ID yet")
	case len(boot) < 32 || !varied(boot):
		h.problem = seedProblem("node", "the ID of the boot is not known")
	case len(hardware) == 0:
		h.problem = seedProblem("node", "nothing is known of the hardware, which could be another one")
	}
	return h
}

// varied reports whether an ID has more than one digit in it: those of all zeros and
// of all ones stand for none.
func varied(id []byte) bool {
	id = bytes.ReplaceAll(id, []byte("-"), nil)
	return len(id) > 0 && len(bytes.Trim(id, string(id[:1]))) > 0
}
