package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFlags: the last value that is accepted, and the first that is not, with its name.
func TestFlags(t *testing.T) {
	for _, tt := range []struct{ good, bad []string }{
		{[]string{"-egd", "/a"}, []string{"-egd", "a"}},
		{[]string{"-egd", "127.0.0.1:1"}, []string{"-egd", "127.0.0.1"}},
		{[]string{"-http", "127.255.0.1:1"}, []string{"-http", "128.0.0.1:1"}},
		{[]string{"-http", "[::1]:1"}, []string{"-http", "[::]:1"}},
		{nil, []string{"-http", "0.0.0.0:80"}},
		{nil, []string{"-http", "localhost:80"}}, // a name may be anybody's
		{nil, []string{"-http", ""}},
		{[]string{"-in", "/a"}, []string{"-in", "127.0.0.1:1"}},
		{[]string{"-mode", "777"}, []string{"-mode", "1000"}},
		{[]string{"-in-mode", "0"}, []string{"-in-mode", "8"}},
		{[]string{"-credit-uids", "0,4294967294"}, []string{"-credit-uids", "4294967295"}},
		{[]string{"-credit-uids", ""}, []string{"-credit-uids", "root"}},
		{nil, []string{"-credit-uids", "1,"}},
		{nil, []string{"-credit-uids", "-1"}},
		{[]string{"-strangers", "refuse"}, []string{"-strangers", "credited"}},
		{[]string{"-drng", "xdrbg"}, []string{"-drng", "rc4"}},
		{[]string{"-output-buffer", "65536"}, []string{"-output-buffer", "65537"}},
		{[]string{"-source-rate", "jitter=0"}, []string{"-source-rate", "jitter=-1"}},
		{nil, []string{"-source-rate", "jitter"}},
		{nil, []string{"-source-rate", "=1"}},
		{[]string{"-feed", "2s"}, []string{"-feed", "1999ms"}},
		{[]string{"-feed", "0"}, []string{"-feed", "-1s"}},
		{[]string{"-feed", "1m", "-feed-credit", "512"}, []string{"-feed-credit", "513", "-feed", "1m"}},
		{nil, []string{"-feed-credit", "1"}}, // and no -feed
		{[]string{"-rate", "1024"}, []string{"-rate", "1023"}},
		{nil, []string{"-rate", "NaN"}},
		{nil, []string{"-rate", "+Inf"}},
		{[]string{"-burst", "32768"}, []string{"-burst", "32767"}},
		{[]string{"-seeds", "0.1"}, []string{"-seeds", "0"}},
		{nil, []string{"-seeds", "NaN"}},
		{[]string{"-connections", "1"}, []string{"-connections", "0"}},
		{[]string{"-client-connections", "1048576"}, []string{"-client-connections", "1048577"}},
		{[]string{"-request", "1"}, []string{"-request", "0"}},
		{nil, []string{"-request", "9223372036854775808"}},
		{[]string{"-idle", "1ms"}, []string{"-idle", "0"}},
		{[]string{"-timeout", "1h"}, []string{"-timeout", "1000000h"}},
		{[]string{"-drain", "0"}, []string{"-drain", "-1s"}},
		{[]string{"-seeding-timeout", "1ms"}, []string{"-seeding-timeout", "1"}},
		{[]string{"-check", "-debug", "-fips"}, []string{"-unknown"}},
	} {
		if _, err := parseFlags(tt.good, io.Discard); err != nil {
			t.Errorf("%q: %v", tt.good, err)
		}
		_, err := parseFlags(tt.bad, io.Discard)
		if _, ok := errors.AsType[errUsage](err); !ok || !strings.Contains(err.Error(), tt.bad[0]) {
			t.Errorf("%q: %v", tt.bad, err)
		}
	}
	if _, err := parseFlags([]string{"serve"}, io.Discard); err == nil {
		t.Error("an argument is taken")
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if _, err := parseFlags([]string{"-help"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
	for _, want := range []string{"Usage: lrngd", "-egd ADDRESS", "-feed-credit BITS", "-strangers WHAT", "(default 16777216)\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help does not have %q", want)
		}
	}
}

func TestDefaults(t *testing.T) {
	c := flags(t)
	// Nothing is credited, fed or given away unless somebody asks for it.
	if c.feed != 0 || c.feedCredit != 0 || c.refuse || c.mode != 0o666 || c.inMode != 0o600 || !slices.Equal(c.credit, []int64{0}) || c.admin() {
		t.Errorf("defaults %+v", c)
	}
	for _, tt := range []struct {
		args []string
		want bool
	}{
		{[]string{"-feed", "1m"}, true},
		{[]string{"-feed", "1m", "-feed-reseed=false"}, false},
		{[]string{"-feed", "1m", "-feed-reseed=false", "-feed-credit", "1"}, true},
	} {
		if got := flags(t, tt.args...).admin(); got != tt.want {
			t.Errorf("%q: CAP_SYS_ADMIN %v", tt.args, got)
		}
	}
	c = flags(t, "-egd", "/a", "-egd", "/b", "-idle", "3s", "-source-rate", "os=0", "-source-rate", "cpu=7")
	if !slices.Equal(c.egd, []string{"/a", "/b"}) || c.idle != 3*time.Second || c.rates["os"] != 0 || c.rates["cpu"] != 7 || len(c.rates) != 2 {
		t.Errorf("%+v", c)
	}
}

// An addressed listener has an address, and nothing else.
type addressed struct {
	net.Listener
	a net.Addr
}

func (l addressed) Addr() net.Addr { return l.a }

func TestCheckListener(t *testing.T) {
	for _, tt := range []struct {
		address    net.Addr
		in, public bool // whether it may take entropy in, and whether it may serve
	}{
		{&net.UnixAddr{Name: "/a", Net: "unix"}, true, true},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, false, true},
		{&net.TCPAddr{IP: net.IPv6loopback, Port: 1}, false, true},
		{&net.TCPAddr{IP: net.IPv4zero, Port: 1}, false, false},
		{&net.TCPAddr{IP: net.IPv6zero, Port: 1}, false, false},
		{&net.TCPAddr{IP: net.IPv4(192, 168, 1, 1), Port: 1}, false, false},
		{&net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, false, false},
	} {
		l := addressed{a: tt.address}
		if err := checkListener(l, true); (err == nil) != tt.in {
			t.Errorf("%v for entropy: %v", tt.address, err)
		}
		if err := checkListener(l, false); (err == nil) != tt.public {
			t.Errorf("%v: %v", tt.address, err)
		}
	}
}
