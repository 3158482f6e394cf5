package supervisor

import (
	"maps"
	"testing"
)

func TestAFunctionGetsWhatWasSetForItsContainer(t *testing.T) {
	cases := map[string]struct {
		container         []string
		inImage, hasToken bool
		want              map[string]string
	}{
		"what a webhook, a Secret and an image set": {
			container: []string{"AZURE_CLIENT_ID=c", "PASSWORD=a=b", "EMPTY=", "KUBERNETESQUE=1"},
			want:      map[string]string{"AZURE_CLIENT_ID": "c", "PASSWORD": "a=b", "EMPTY": "", "KUBERNETESQUE": "1"},
		},
		"not what a container has": {
			container: []string{"HOSTNAME=pod", "HOME=/root", "KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_PORT=tcp://10.0.0.1:443"},
			want:      map[string]string{},
		},
		"where the API is, with a token": {
			container: []string{"HOSTNAME=pod", "KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_SERVICE_PORT=443"},
			hasToken:  true,
			want:      map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"},
		},
		"an image's home":  {container: []string{"HOME=/home/app"}, inImage: true, want: map[string]string{"HOME": "/home/app"}},
		"no home in image": {container: []string{"HOME=/"}, inImage: true, want: map[string]string{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := handedOn(c.container, c.inImage, c.hasToken); !maps.Equal(got, c.want) {
				t.Fatal(got)
			}
		})
	}
}

func TestWhatThePlatformMakesUpGivesWay(t *testing.T) {
	type variables = map[string]string
	platform := variables{
		"AWS_ACCESS_KEY_ID": "made up", "AWS_SECRET_ACCESS_KEY": "made up", "AWS_SESSION_TOKEN": "made up",
		"AWS_REGION": "made up", "AWS_DEFAULT_REGION": "made up", "AWS_LAMBDA_FUNCTION_NAME": "fn", "GREETING": "the function's",
	}
	withoutCredentials := variables{
		"AWS_REGION": "made up", "AWS_DEFAULT_REGION": "made up", "AWS_LAMBDA_FUNCTION_NAME": "fn", "GREETING": "the function's",
	}
	cases := map[string]struct{ container, function, without, with variables }{
		"to nothing":       {without: platform},
		"to nothing empty": {container: variables{"AWS_ACCESS_KEY_ID": "", "AWS_REGION": ""}, without: platform},
		"to a Secret's key": {
			container: variables{"AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "own"},
			without:   withoutCredentials,
			with:      variables{"AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "own"},
		},
		"to a cloud's identity": {
			container: variables{"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_ROLE_ARN": "arn"},
			without:   withoutCredentials,
			with:      variables{"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_ROLE_ARN": "arn"},
		},
		"to a cloud's agent": {
			container: variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"},
			without:   withoutCredentials,
			with:      variables{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"},
		},
		"to where the function says": {
			function: variables{"AWS_PROFILE": "work"},
			without:  withoutCredentials,
			with:     variables{"AWS_PROFILE": "work"},
		},
		"not to another cloud's": {
			container: variables{"AZURE_CLIENT_ID": "c"}, without: platform, with: variables{"AZURE_CLIENT_ID": "c"},
		},
		"by name to a region": {
			container: variables{"AWS_REGION": "own"}, without: platform, with: variables{"AWS_REGION": "own"},
		},
		"alone: all else comes over the container's": {
			container: variables{"GREETING": "the container's", "AWS_LAMBDA_FUNCTION_NAME": "other"}, without: platform,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			told, want, got := maps.Clone(platform), maps.Clone(c.without), variables{}
			maps.Copy(told, c.function)
			maps.Copy(want, c.with)
			maps.Copy(got, c.container)
			if put(got, told); !maps.Equal(got, want) {
				t.Fatal(got)
			}
		})
	}
}
