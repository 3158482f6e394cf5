package slot

import "encoding/json"

// errorObject is an error of the platform's own as Lambda writes it: type first, no stack trace.
func errorObject(errorType, message string) []byte {
	object, err := json.Marshal(struct {
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}{errorType, message})
	if err != nil {
		panic(err) // two strings
	}
	return object
}
