package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// hasAdmin returns nil if this process has the capability that feeding the kernel takes,
// and else how to come by it.
func hasAdmin() error {
	ok, err := cap.GetProc().GetFlag(cap.Permitted, cap.SYS_ADMIN)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("-feed takes CAP_SYS_ADMIN, which user %d lacks here: start it as root, "+
			"or with AmbientCapabilities=CAP_SYS_ADMIN, or feed without -feed-credit and with "+
			"-feed-reseed=false, which takes no privilege", os.Getuid())
	}
	return nil
}

// dropPrivileges makes the process that user (if it is not ""), without other groups, and
// leaves it no capability, apart from CAP_SYS_ADMIN if admin says so. Nothing that it
// executes can get more.
//
// Credentials belong to threads: package cap changes all of them.
func dropPrivileges(name string, admin bool) error {
	// The bounding set, as long as there is the capability to change it.
	bound, err := cap.GetProc().GetFlag(cap.Permitted, cap.SETPCAP)
	if err != nil {
		return err
	}
	if bound {
		have := cap.GetProc()
		if err := errors.Join(have.SetFlag(cap.Effective, true, cap.SETPCAP), have.SetProc()); err != nil {
			return fmt.Errorf("raising CAP_SETPCAP: %w", err)
		}
		var out []cap.Value
		for v := range cap.MaxBits() {
			if v == cap.SYS_ADMIN && admin {
				continue
			}
			if in, err := cap.GetBound(v); err == nil && in {
				out = append(out, v)
			}
		}
		if err := cap.DropBound(out...); err != nil {
			return fmt.Errorf("bounding set: %w", err)
		}
	}
	if name != "" {
		uid, gid, err := lookUp(name)
		if err != nil {
			return fmt.Errorf("-user: %w", err)
		}
		if uid != os.Getuid() || gid != os.Getgid() {
			if err := cap.SetGroups(gid); err != nil {
				return fmt.Errorf("-user %s: groups: %w", name, err)
			}
			if err := cap.SetUID(uid); err != nil {
				return fmt.Errorf("-user %s: %w", name, err)
			}
		}
	}
	left := cap.NewSet()
	if admin {
		if err := errors.Join(left.SetFlag(cap.Permitted, true, cap.SYS_ADMIN), left.SetFlag(cap.Effective, true, cap.SYS_ADMIN)); err != nil {
			return err
		}
	}
	if err := cap.ResetAmbient(); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	if err := left.SetProc(); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return nil
}

// lookUp returns the numbers of a user and of its group.
func lookUp(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if _, e := strconv.ParseUint(name, 10, 31); err != nil && e == nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return 0, 0, err
	}
	return uid, gid, nil
}
