module lambent.dev/agent

go 1.24
