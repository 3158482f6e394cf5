package supervisor

import (
	"slices"
	"strings"
)

// accountToken is where Kubernetes mounts the API token of a pod's ServiceAccount.
const accountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// The platform makes these up, as Lambda sets them always. No function sets them itself: the API refuses that.
var (
	madeUpCredentials = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
	madeUpRegions     = []string{"AWS_REGION", "AWS_DEFAULT_REGION"}
)

// credentialSources say where credentials are to be had. AWS's clients look there only if the environment has no key.
var credentialSources = []string{
	"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE",
}

// handedOn are the variables of the container that its function gets: all that an image, a Secret or ConfigMap, or a cluster's webhook
// has set, but not those that are there because it is a container. Where the Kubernetes API is concerns only who has a token for it.
func handedOn(container []string, inImage, hasToken bool) map[string]string {
	variables := make(map[string]string, len(container))
	for _, variable := range container {
		name, value, _ := strings.Cut(variable, "=")
		switch {
		case name == "HOSTNAME":
		case name == "HOME" && (!inImage || value == "/"): // of a user who has none; an image may have set another
		case strings.HasPrefix(name, "KUBERNETES_") && !hasToken:
		default:
			variables[name] = value
		}
	}
	return variables
}

// put adds to the container's variables what SPECIALIZE says, which comes over them. But what the platform has made up gives way: a
// region to the container's of that name, and all its credentials to any of the container's, or to where the function says they are.
func put(variables, told map[string]string) {
	own := sets(variables, madeUpCredentials) || sets(variables, credentialSources) || sets(told, credentialSources)
	for name, value := range told {
		switch {
		case own && slices.Contains(madeUpCredentials, name):
		case slices.Contains(madeUpRegions, name) && variables[name] != "":
		default:
			variables[name] = value
		}
	}
}

func sets(variables map[string]string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return variables[name] != "" })
}
