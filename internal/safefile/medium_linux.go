package safefile

import (
	"os"
	"syscall"
)

// readOnly is ST_RDONLY of statfs(2).
const readOnly = 1

// MediumOf returns what the file system of an open file is good for.
func MediumOf(f *os.File) (Medium, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return Medium{}, err
	}
	var st syscall.Statfs_t
	if e := conn.Control(func(fd uintptr) {
		for {
			if err = syscall.Fstatfs(int(fd), &st); err != syscall.EINTR {
				return
			}
		}
	}); e != nil {
		return Medium{}, e
	}
	if err != nil {
		return Medium{}, os.NewSyscallError("fstatfs", err)
	}
	return Medium{Persistent: persistent[uint32(st.Type)], ReadOnly: st.Flags&readOnly != 0}, nil
}
