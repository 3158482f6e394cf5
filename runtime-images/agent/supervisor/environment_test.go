package supervisor

import (
	"testing"

	"lambent.dev/agent/link"
)

func TestAPrestartedBootstrapServesWhoWouldBeStartedAlike(t *testing.T) {
	settings := Settings{Prestart: []string{"python"}, Inherited: []string{"PYTHONPATH=/var/runtime", "PYTHON_VERSION=3.11", "A=b"}}
	cases := map[string]struct {
		told map[string]string
		want bool
	}{
		"what it says itself":         {map[string]string{"PYTHONPATH": "/var/runtime", "A": "c"}, true},
		"nothing: it gets the same":   {nil, true},
		"another value":               {map[string]string{"PYTHONPATH": "/opt"}, false},
		"one more":                    {map[string]string{"PYTHONOPTIMIZE": "1"}, false},
		"one that is read when asked": {map[string]string{"TZ": ":UTC"}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			spec := &link.Specialization{Environment: c.told, Runtime: link.Runtime{Protocol: "frames", Command: []string{"python"}}}
			if servesFor(settings, spec) != c.want {
				t.Fatal(c.told)
			}
		})
	}
}
