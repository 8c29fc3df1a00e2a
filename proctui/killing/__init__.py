"""The guard: plan, pin, look again, signal, verify, write down. Nothing else here signals."""
