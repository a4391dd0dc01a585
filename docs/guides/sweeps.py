# %% [markdown]
# # Sweeps
#
# **Question:** How do I train many models, of several settings and seeds, and compare them?
#
# A sweep is one TOML file. It names what is tried, and every combination is trained:

# %%
from pathlib import Path

_ = Path("sweep.toml").write_text("""
systems = ["Kepler"]
models = ["Baseline"]
seeds = 2                             # 0 and 1; or a list of seeds
steps = 300

[training]                            # fields of TrainingConfig: a value, or a list of values
batch = 64
chunk = 100
learning_rate = [3e-2, 3e-3, 3e-4]

[model]                               # arguments of the model's constructor, likewise
width = 16

[early_stopping]                      # leave it out to train all to the end
first = 100
factor = 2
""")

# %% [markdown]
# A table `[model.LNN]` or `[training.LNN]` is for one of the models alone. Systems and models are
# registered names, or "module:Class". `pip install "gym-lagrangian[ray]"`, and
#
# ```console
# $ gym-lagrangian sweep sweep.toml --out widths
# ```
#
# trains it on the cores of the machine with Ray Tune. It shows the steps that are done, and in the
# end writes `widths/table.json`, `widths/table.parquet` (where pyarrow is installed) and
# `widths/sweep.png` (where matplotlib is). After a kill or Ctrl-C **the same command goes on**
# where it was, and comes to the same table: the same rows, in the same order, with the same
# numbers. A worker that dies is replaced, and continues from its last save.
#
# Python reads the same file. Without Ray, one process comes to the same table:

# %%
from gym_lagrangian.sweeps import in_process, read_sweep

sweep = read_sweep("sweep.toml")
print(len(sweep.runs), "trainings in", len(sweep.packs), "packs, judged after", sweep.rungs)
found = in_process(sweep)

# %%
from gym_lagrangian.sweeps.table import summary

print("\n".join(summary(found.rows)))

# %%
from gym_lagrangian.sweeps.figure import sweep_figure

sweep_figure(found)

# %% [markdown]
# ## What the table says
#
# A row is one training, the training of `gym-lagrangian train` with the same settings and seed.
# `held_out_loss` is the model's own loss on 2,000 states that all runs of a system are judged by
# and none has learned from; settings of one model are compared by it. Models whose losses have
# different units are compared by `one_step_error`: the error of ẋ over one step of 0.05 s, free and
# under random forces. `status` says whether a run finished, was stopped early or diverged.

# %%
for name, value in found.rows[0].items():
    print(f"{name}: {value}")

# %% [markdown]
# ## Packs
#
# Small networks leave a core idle most of the time. Runs that share a compiled program (the same
# system, model, shapes and optimiser) are therefore trained side by side in it, at most `pack = 16`
# of them. Seeds and learning rates may differ. With early stopping a pack holds the seeds of one
# setting.
#
# ## Early stopping
#
# After `first` steps, `factor` times as many, and so on, a setting is compared with those before it
# that came so far, of the same system and model, by the median loss of its seeds. About one in
# `factor` goes on. That is asynchronous successive halving (ASHA), with one difference to Ray's:
# the comparison follows the order of the file, not of the clock, so that a sweep has one table. The
# first setting of a file is compared with none and never stopped: begin with a good guess.
#
# ## On a cluster
#
# The same file runs on a Ray cluster. Start it (`ray start --head` on one machine, `ray start
# --address=HOST:6379` on the others, all with this package installed), and give its address on any
# of its machines. `--out` has to be a folder that all of them share.
#
# ```console
# $ gym-lagrangian sweep sweep.toml --out /shared/widths --address auto
# ```
#
# `--workers` limits how many packs run at a time, `--cpus` and `--gpus` say what one pack takes.
# Different processors round differently: numbers are equal on machines of one kind.
#
# ## When it goes wrong
#
# * *holds another sweep*: the folder was made by another file. A sweep is never continued with
#   other settings; choose another `--out`.
# * *Ray did not start*: it gives up after 30 s. Give the command again when the machine is less
#   busy.
# * Rows that *failed*: their workers died four times, mostly for lack of memory. Lower `pack` or
#   `--workers`, and give the same command again.
# * Rows that *diverged*: the loss is not finite any more. Their neighbours in the pack are not
#   affected.
