package supervisor

import "testing"

func TestOnlyAParentMakesAChild(t *testing.T) {
	settings, err := ReadSettings([]string{
		"LAMBENT_GATEWAY=tcp:127.0.0.1:1", "LAMBENT_ENVIRONMENT=pod", "LAMBENT_TOKEN=t", "LAMBENT_ROOT=" + t.TempDir(),
		"LAMBENT_SECRET=s", "LAMBENT_CODE=/elsewhere",
	})
	if err != nil || settings.Secret != "" || settings.Code != "" || settings.Parent != noParent {
		t.Fatal(settings, err)
	}
}
