// Package safefile says of files what package os does not: who owns them, whether
// their file system keeps them, and whether another process is at work on them.
//
// What a system does not say is reported as unknown, never guessed. Who decides by
// it treats the unknown as the worse.
package safefile

// Facts are the facts about a file.
type Facts struct {
	Owner uint32 // user ID
	Links uint64 // number of names
	Inode uint64 // number of the file in its file system; a copy has another one
}

// A Medium is what a file system is good for.
type Medium struct {
	// Persistent says that the file system is known to be on a local disk, and that
	// what was removed or overwritten there does not come back with the next boot of
	// the machine. Below it there may be snapshots all the same.
	Persistent bool

	// ReadOnly says that it is mounted without permission to write.
	ReadOnly bool
}

// persistent are the numbers of Linux, linux/magic.h unless stated, of the file
// systems that are local and keep what is written. What is not listed may be memory
// (tmpfs, ramfs), a layer over an image (overlay), an image (squashfs, erofs,
// iso9660), or kept by somebody else (nfs, cifs, 9p, fuse, virtiofs).
var persistent = map[uint32]bool{
	0xef53:     true, // ext2, ext3, ext4
	0x58465342: true, // xfs
	0x9123683e: true, // btrfs
	0xf2f52010: true, // f2fs
	0xca451a4e: true, // bcachefs (fs/bcachefs/bcachefs_format.h)
	0x3153464a: true, // jfs (fs/jfs/jfs_superblock.h)
	0x2fc12fc1: true, // zfs (OpenZFS, include/sys/fs/zfs.h)
	0x3434:     true, // nilfs
	0x72b6:     true, // jffs2
	0x24051905: true, // ubifs (fs/ubifs/ubifs.h)
}
