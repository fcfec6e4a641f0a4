module lb.example/examples

go 1.21

require lb.example/lb v0.0.0

replace lb.example/lb => ../../bindings/go
