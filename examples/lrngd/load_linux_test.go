package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestLoad: of thousands of clients at a time half are slow, silent, or do not speak the
// protocol. The others get what they ask for, and nothing is left of any.
func TestLoad(t *testing.T) {
	t.Parallel()
	clients := 2000
	if testing.Short() {
		clients = 200
	}
	dir := shortDir(t)
	egd, web := dir+"/e", dir+"/h"
	p := command(t, "-egd", egd, "-http", web, "-connections", "5000", "-client-connections", "5000",
		"-rate", "10000000000", "-burst", "1000000000", "-idle", "20s", "-timeout", "6s", "-drain", "1s").ready()
	client := unixClient(web)
	defer client.CloseIdleConnections()
	vars := func() map[string]int64 {
		var v struct{ Lrngd map[string]int64 }
		if _, body := get(t, client, "http://lrngd/debug/vars"); json.Unmarshal(body, &v) != nil {
			t.Fatalf("%s", body)
		}
		return v.Lrngd
	}
	files := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	// Both shards and the workers of the runtime are there before it is counted.
	for range 20 {
		c := dialEGD(t, "unix", egd)
		c.read(1)
		c.Close()
	}
	before := vars()
	filesBefore := files()

	var seen sync.Map // the first bytes of each answer
	var good, twice, failed atomic.Int64
	var bytesWanted atomic.Int64
	first := func(b []byte) {
		if _, dup := seen.LoadOrStore([16]byte(b), true); dup {
			twice.Add(1)
		}
	}
	complain := func(err error) {
		if failed.Add(1) < 5 {
			t.Errorf("a good client: %v", err)
		}
	}
	dial := func(path string) (net.Conn, error) {
		for {
			c, err := net.Dial("unix", path)
			if errors.Is(err, syscall.EAGAIN) { // the queue is full
				time.Sleep(time.Millisecond)
				continue
			}
			if err == nil {
				c.SetDeadline(time.Now().Add(patience))
			}
			return c, err
		}
	}
	var bad struct {
		sync.Mutex
		conns []net.Conn
	}
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			path := egd
			if kind := i % 10; kind == 5 || kind == 6 || kind == 7 {
				path = web
			}
			c, err := dial(path)
			if err != nil {
				complain(err)
				return
			}
			keep := func() {
				bad.Lock()
				bad.conns = append(bad.conns, c)
				bad.Unlock()
			}
			switch i % 10 {
			case 0, 1, 2, 3, 4: // EGD
				defer c.Close()
				answer := make([]byte, 255)
				for range 4 {
					if _, err := c.Write([]byte{2, 255}); err != nil {
						complain(err)
						return
					}
					if _, err := io.ReadFull(c, answer); err != nil {
						complain(err)
						return
					}
					first(answer)
					bytesWanted.Add(255)
				}
				good.Add(1)
			case 5: // HTTP
				defer c.Close()
				fmt.Fprint(c, "GET /bytes?n=20000 HTTP/1.0\r\n\r\n")
				answer, err := io.ReadAll(c)
				_, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
				if err != nil || len(body) != 20000 {
					complain(fmt.Errorf("%d bytes of 20000: %v", len(body), err))
					return
				}
				first(body)
				bytesWanted.Add(20000)
				good.Add(1)
			case 6: // reads nothing of what it asked for
				fmt.Fprint(c, "GET /bytes?n=10000000 HTTP/1.1\r\nHost: x\r\n\r\n")
				keep()
			case 7: // never finishes its request
				fmt.Fprint(c, "GET /bytes?n=1 HTTP/1.1\r\nX: ")
				keep()
			case 8: // half a command, or commands and no interest in the answers
				if i%20 == 8 {
					c.Write([]byte{3, 0})
				} else {
					c.Write(bytes.Repeat([]byte{2, 255}, 4000))
				}
				keep()
			case 9: // garbage
				junk := make([]byte, 300)
				for j := range junk {
					junk[j] = byte(rand.Uint32())
				}
				c.Write(junk)
				keep()
			}
		})
	}
	all.Wait()
	if n := int(good.Load()); n != clients*6/10 {
		t.Errorf("%d of %d good clients were served", n, clients*6/10)
	}
	if n := twice.Load(); n != 0 {
		t.Errorf("%d answers begin like another one", n)
	}
	// The bad ones are cut off, although they stay.
	eventually(t, "all others are cut off", func() bool { return vars()["open_connections"] <= 1 })
	for _, c := range bad.conns {
		c.Close()
	}
	eventually(t, "no goroutine is left", func() bool { return vars()["goroutines"] <= before["goroutines"]+2 })
	if n := files(); n > filesBefore+2 {
		t.Errorf("%d open files, %d before", n, filesBefore)
	}
	after := vars()
	if after["panics"] != 0 || after["refused"] != 0 || after["bytes"] < bytesWanted.Load() || after["connections"] < int64(clients) {
		t.Errorf("counted %v", after)
	}
	dialEGD(t, "unix", egd).read(255)
	p.signal(syscall.SIGTERM)
	p.exits(0)
	if strings.Contains(p.stderr.String(), "level=ERROR") {
		t.Error("errors in the log")
	}
}
