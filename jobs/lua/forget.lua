-- A worker is gone: takes back what it had claimed, unless it has shown a sign of life since `a.beats` was read.
-- Answers how many works were taken back; what fails for good is put into P:ending, its jobs are ended by `end`.
-- Touches P:workers, P:worker:<worker>, P:owns:<worker>, and for each work all that take_back touches.

if a.beats and get(P .. ':worker:' .. a.worker, 'beats') ~= a.beats then return 0 end
return forget_worker(a.worker, a.max_attempts, a.poison)
