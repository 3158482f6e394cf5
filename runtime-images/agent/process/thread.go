package process

import (
	"runtime"
	"sync"
)

// starts are what the thread that stays is asked to do.
var starts = sync.OnceValue(func() chan func() {
	asked := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range asked {
			start()
		}
	}()
	return asked
})

// onThreadThatStays does something on a thread that lives as long as the agent: a process dies with the thread that started it. The loop
// is not bound to it, since a goroutine that is bound to a thread is slow to give the processor up for a moment.
func onThreadThatStays(start func()) {
	done := make(chan struct{})
	starts() <- func() {
		start()
		close(done)
	}
	<-done
}
