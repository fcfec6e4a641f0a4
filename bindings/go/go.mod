module lb.example/lb

go 1.21
