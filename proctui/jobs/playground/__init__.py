"""The job of ``proctui demo``: small programs that work, grow, hang, stray and write a log.

They are harmless: each is bounded in time and means, and ends by itself once
the dashboard that asked for it is gone.
"""
