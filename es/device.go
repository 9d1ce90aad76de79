package es

import (
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// DeviceConfig configures a [Device]. The zero value is the recommended configuration.
type DeviceConfig struct {
	// Path is the name of the device; "" means "/dev/hwrng".
	Path string

	// Name is the name of the source, which tells several devices of one generator
	// apart; "" means "device".
	Name string

	// Rate is the min-entropy credited for 256 bits of data, in bits: 1…256. 0 is
	// the recommended 128, as in ESDM; a negative rate is no credit, and one above
	// 256 an error.
	//
	// The recommended rate is half a bit for a bit. The kernel takes a generator at
	// the word of its driver, and that is a full bit for a bit unless the driver
	// says less; half is still right where that was twice too much. The health
	// tests watch over the rate that is claimed: a lower one allows the device more.
	Rate int

	// Certificate is the name of the certificate, as "E123", under which the device
	// is a validated entropy source. Whoever sets it declares that; nothing checks
	// it. In FIPS 140-3 mode a generator of lrng credits the source only if it is
	// set.
	Certificate string
}

const (
	deviceName = "device"
	devicePath = "/dev/hwrng"
	deviceRate = 128
)

// Device is a character device that delivers random data: /dev/hwrng, the hardware
// generator that Linux has chosen, or any other that is read in the same way.
//
// Such devices are slow, and may hang, fail, or be unplugged. So nobody who reads from
// a generator waits for one. A goroutine reads ahead, up to 256 bytes; GetEntropy
// takes from these, and otherwise waits half a second at most, and not at all for a
// device that has been waited for in vain. [Device.Notify] tells when there are data
// again. The goroutine is started by the first use, and ends when it has read enough.
// At most one read is under way at any time. Data older than 20 minutes are dropped.
//
// # Health tests
//
// On each byte the RCT and the APT of SP 800-90B, Section 4.4, run for the claim of
// the rate, with windows of 512, and the start-up test with 1024 bytes that are not
// used. Blocks of 32 bytes are tested in the same way, with windows of 32: a device
// that repeats a word or a line for ever is found. False alarms have a probability of
// 2⁻³⁰ for intermittent and 2⁻⁶⁰ for permanent failures. At the recommended rate, 9
// equal bytes in a row are an intermittent failure; 16 of them, or two equal blocks,
// are a permanent one. The tests run on what leaves the device, which may hide its
// noise from them by conditioning; so Info does not count them.
//
// # Failure
//
// A failed test drops all data, and is told as a [*HealthError] to one call. After an
// intermittent failure reading goes on with the start-up test. A permanent one is final
// for this Device.
//
// After a read that failed the device is closed, and opened and read again, five times
// in all and with growing pauses. Then it is left alone until it is asked for data, and
// for a pause that doubles up to a minute: it may have been unplugged and come back, or
// have got other permissions. Meanwhile GetEntropy returns an error that wraps
// [ErrUnavailable] and the reason. So it does, without trying again at once, for a device
// that is not there, as on any system but Linux by default, and for what is no character
// device: a file, a directory, a block device, a FIFO. A read that hangs costs the credit
// of the source, and the goroutine; where the device can be polled it ends after two
// seconds.
//
// A serial line has to be set up before it can be read, and may become the controlling
// terminal of a daemon that opens it. It is for a [Reader].
//
// # Security
//
// Who made the device, or the host of a virtual machine that lends it, may know what
// it delivers. Data that are waiting are in ordinary memory until they are taken,
// dropped, or wiped by Close.
//
// A Device is safe for concurrent use. Who made it should Close it.
type Device struct {
	feed
	input deviceInput
}

// NewDevice returns the source with configuration c. It does not open the device.
func NewDevice(c DeviceConfig) *Device {
	d := &Device{input: deviceInput{stall: feedStall}}
	if d.input.path = c.Path; c.Path == "" {
		d.input.path = devicePath
	}
	if c.Name == "" {
		c.Name = deviceName
	}
	d.init("DeviceConfig", c.Name, c.Certificate, c.Rate, deviceRate, d.input.read, d.input.interrupt)
	return d
}

// String returns the name of the type. The state is not printed.
func (d *Device) String() string { return "es.Device" }

// GoString returns the name of the type. The state is not printed.
func (d *Device) GoString() string { return "es.Device" }

// A deviceInput reads a device, which it opens when it has to.
type deviceInput struct {
	path  string
	stall time.Duration // how long a read takes at most, where the device can be polled

	mu     sync.Mutex // guards the fields below; it is not held while a call may block
	file   *os.File
	closed bool // for good
}

// read reads once. After an error the device is closed, unless it is that of the
// deadline.
func (d *deviceInput) read(p []byte) (n int, err error) {
	file, err := d.open()
	if err != nil {
		return 0, &finalError{err}
	}
	if file == nil {
		return 0, &finalError{os.ErrClosed}
	}
	// Devices that cannot be polled, such as /dev/hwrng, have no deadline.
	_ = file.SetReadDeadline(time.Now().Add(d.stall))
	n, err = file.Read(p)
	if err != nil && !os.IsTimeout(err) {
		d.shut(false)
	}
	return n, err
}

// interrupt closes the device for good. A read under way returns if the device can be
// polled.
func (d *deviceInput) interrupt() { d.shut(true) }

// open returns the device, open, or nil if it has been closed for good. Like read, only
// one goroutine calls it.
func (d *deviceInput) open() (*os.File, error) {
	d.mu.Lock()
	file, closed := d.file, d.closed
	d.mu.Unlock()
	if file != nil || closed {
		return file, nil
	}
	// To open something else may block, as that of a FIFO does.
	info, err := os.Stat(d.path)
	if err == nil {
		err = checkDevice(d.path, info)
	}
	if err != nil {
		return nil, err
	}
	if file, err = os.Open(d.path); err != nil {
		return nil, err
	}
	// It may be another one by now.
	if info, err = file.Stat(); err == nil {
		err = checkDevice(d.path, info)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		file.Close()
		return nil, nil
	}
	d.file = file
	return file, nil
}

// checkDevice returns an error if info is not of a character device.
func checkDevice(path string, info fs.FileInfo) error {
	if info.Mode()&fs.ModeCharDevice == 0 {
		return fmt.Errorf("%s: not a character device: %v", path, info.Mode())
	}
	return nil
}

// shut closes the device.
func (d *deviceInput) shut(forGood bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file != nil {
		d.file.Close() // nothing was written to it
		d.file = nil
	}
	d.closed = d.closed || forGood
}
