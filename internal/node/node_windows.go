package node

import (
	"syscall"
	"unsafe"
)

// maxAdapters is how many adapters are looked at; a list that is longer is not
// delivered by the system at all.
const maxAdapters = 64

// interfaces returns name and hardware address of each adapter of GetAdaptersInfo.
func interfaces() (b []byte) {
	var list [maxAdapters]syscall.IpAdapterInfo
	size := uint32(unsafe.Sizeof(list))
	if syscall.GetAdaptersInfo(&list[0], &size) != nil {
		return nil
	}
	for a, n := &list[0], 0; a != nil && n < maxAdapters; a, n = a.Next, n+1 {
		b = append(b, a.AdapterName[:]...)
		b = append(b, byte(a.AddressLength))
		b = append(b, a.Address[:min(int(a.AddressLength), len(a.Address))]...)
	}
	return b
}
