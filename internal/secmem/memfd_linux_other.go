//go:build linux && !(386 || amd64 || arm64 || loong64 || riscv64)

package secmem

import "golang.org/x/sys/unix"

// memfdSecret: the kernel has no such call on this architecture.
func memfdSecret() (int, error) { return -1, unix.ENOSYS }
