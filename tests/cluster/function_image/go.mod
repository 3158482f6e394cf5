module lambent.dev/tests/function-image

go 1.25
