package lb

import "sync"

// What was delivered and not yet read: blocks that go back as soon as they are read, so that a stream that waits holds
// none. A block is a page.
type buffer struct {
	first, last *block
	size        int
}

type block struct {
	next       *block
	begin, end int
	bytes      [4096 - 24]byte
}

var blocks = sync.Pool{New: func() any { return new(block) }}

func (b *buffer) append(data []byte) {
	b.size += len(data)
	for len(data) > 0 {
		if b.last == nil || b.last.end == len(b.last.bytes) {
			fresh := blocks.Get().(*block)
			fresh.next, fresh.begin, fresh.end = nil, 0, 0
			if b.last == nil {
				b.first = fresh
			} else {
				b.last.next = fresh
			}
			b.last = fresh
		}
		n := copy(b.last.bytes[b.last.end:], data)
		b.last.end += n
		data = data[n:]
	}
}

// read takes as much as there is and fits.
func (b *buffer) read(p []byte) (count int) {
	for b.first != nil && count < len(p) {
		n := copy(p[count:], b.first.bytes[b.first.begin:b.first.end])
		b.first.begin += n
		count += n
		if b.first.begin == b.first.end {
			b.drop()
		}
	}
	b.size -= count
	return count
}

func (b *buffer) drop() {
	gone := b.first
	if b.first = gone.next; b.first == nil {
		b.last = nil
	}
	blocks.Put(gone)
}

func (b *buffer) clear() {
	for b.first != nil {
		b.drop()
	}
	b.size = 0
}
