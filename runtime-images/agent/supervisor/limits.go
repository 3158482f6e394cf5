package supervisor

import (
	"lambent.dev/agent/link"
	"lambent.dev/agent/slot"
)

const (
	// responseBytesMax is Lambda's limit of a response, bytes: 6 MiB + 100.
	responseBytesMax = 6_291_556
	// streamBytesMax is Lambda's limit of a streamed response ("Response streaming for Lambda functions").
	streamBytesMax = 200 << 20

	tooLargeError   = "Function.ResponseSizeTooLarge"
	tooLargeMessage = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
)

// answerTooLarge answers for a runtime whose response is above the limit.
func (e *environment) answerTooLarge() {
	object := []byte(`{"errorMessage":"` + tooLargeMessage + `","errorType":"` + tooLargeError + `"}`)
	e.slot.Answer(link.AppendError(nil, link.Error, e.slot.Number, tooLargeError, object), link.Failed, tooLargeError)
}

var _ slot.Ports = (*environment)(nil)
