fetch 32 from relay_pass
