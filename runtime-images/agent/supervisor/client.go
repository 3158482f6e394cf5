package supervisor

import (
	"lambent.dev/agent/link"
	"lambent.dev/agent/loop"
	"lambent.dev/agent/slot"
)

// fromClient is the environment as a runtime that speaks the Runtime API sees it.
type fromClient struct{ *environment }

func (c fromClient) Ready() { c.slot.Ready(loop.Now()) }

func (c fromClient) Free() {
	c.slot.Free(loop.Now())
	c.agent.shutdown.idle()
}

func (c fromClient) InitFailed(errorType string, object []byte) {
	c.slot.InitFailed(loop.Now(), slot.Failure{Type: errorType, Object: object})
}

func (c fromClient) Respond(frame []byte) {
	link.AppendHeader(frame[:0], len(frame)-link.HeaderBytes, link.Response, 0, c.slot.Number)
	if c.slot.Answer(frame, link.Success, "") {
		c.agent.uplink.Hold()
	}
}

func (c fromClient) Fail(errorType string, object []byte) {
	if c.slot.Answer(link.AppendError(nil, link.Error, c.slot.Number, errorType, object), link.Failed, errorType) {
		c.agent.uplink.Hold()
	}
}

func (c fromClient) TooLarge() { c.answerTooLarge() }

func (c fromClient) StreamStart(contentType []byte) {
	if !c.slot.MayAnswer() {
		return
	}
	if len(contentType) == 0 {
		contentType = []byte("application/octet-stream")
	}
	c.FlushLog(false)
	c.Send(link.Append(nil, link.StreamStart, 0, c.slot.Number, contentType))
	c.slot.Streams()
}

func (c fromClient) StreamChunk(data []byte) {
	if c.slot.Streaming() {
		c.agent.uplink.Append(link.StreamChunk, c.slot.Number, data)
	}
}

func (c fromClient) StreamEnd(errorType string, object []byte) {
	if !c.slot.Streaming() {
		return
	}
	if errorType == "" {
		c.slot.Answer(link.Append(nil, link.StreamEnd, 0, c.slot.Number, nil), link.Success, "")
	} else {
		c.slot.Answer(link.AppendError(nil, link.StreamEnd, c.slot.Number, errorType, object), link.Failed, errorType)
	}
}

func (c fromClient) Crowded() bool { return c.agent.uplink.Crowded() }
