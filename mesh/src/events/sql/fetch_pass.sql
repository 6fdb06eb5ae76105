fetch 1000 from relay_pass
