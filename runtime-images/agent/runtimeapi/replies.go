package runtimeapi

import (
	"encoding/json"
	"strconv"

	"lambent.dev/agent/link"
)

const (
	accepted  = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n"
	pong      = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\npong"
	goOn      = "HTTP/1.1 100 Continue\r\n\r\n"
	notFound  = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 19\r\n\r\n404 page not found\n"
	noMethod  = "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
	malformed = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)

var (
	invalidRequestID    = refusal("400 Bad Request", "InvalidRequestID", "Invalid request ID")
	invalidResponseMode = refusal("400 Bad Request", "InvalidFunctionResponseMode", "Invalid function response mode")
	truncatedRequest    = refusal("400 Bad Request", "TruncatedHTTPRequest", "HTTP request detected as truncated")
)

// tooLarge is the reply to a response above the limit, bytes.
func tooLarge(limit int64) string {
	message := "Exceeded maximum allowed payload size (" + strconv.FormatInt(limit, 10) + " bytes)."
	return refusal("413 Request Entity Too Large", "RequestEntityTooLarge", message)
}

// notAllowed is the reply to a call that the runtime's state refuses.
func notAllowed(from State, to Call) string {
	message := "State transition from " + from.String() + " to " + to.String() + " failed for runtime. Error: State transition is not allowed"
	return refusal("403 Forbidden", "InvalidStateTransition", message)
}

func refusal(status, errorType, message string) string {
	body, err := json.Marshal(struct {
		ErrorMessage string `json:"errorMessage"`
		ErrorType    string `json:"errorType"`
	}{message, errorType})
	if err != nil {
		panic(err) // two strings
	}
	length := strconv.Itoa(len(body) + 1)
	return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " + length + "\r\n\r\n" + string(body) + "\n"
}

// appendEvent appends the head of the reply that carries an invocation.
func appendEvent(dst []byte, head link.Head, length int) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: "...)
	dst = append(dst, head.RequestID...)
	dst = append(dst, "\r\nLambda-Runtime-Deadline-Ms: "...)
	dst = strconv.AppendUint(dst, head.DeadlineMs, 10)
	for _, field := range [...]struct {
		name  string
		value []byte
	}{
		{"\r\nLambda-Runtime-Invoked-Function-Arn: ", head.FunctionARN},
		{"\r\nLambda-Runtime-Trace-Id: ", head.TraceID},
		{"\r\nLambda-Runtime-Client-Context: ", head.ClientContext},
		{"\r\nLambda-Runtime-Cognito-Identity: ", head.CognitoIdentity},
		{"\r\nLambda-Runtime-Aws-Tenant-Id: ", head.TenantID},
	} {
		if len(field.value) > 0 {
			dst = append(append(dst, field.name...), field.value...)
		}
	}
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(length), 10)
	return append(dst, "\r\n\r\n"...)
}
