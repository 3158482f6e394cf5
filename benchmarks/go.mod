module lambent.dev/benchmarks

go 1.25

require lambent.dev/agent v0.0.0

replace lambent.dev/agent => ../runtime-images/agent
