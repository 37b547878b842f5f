"""
How many negatives does Deep InfoMax need?
==========================================

The critics of `~skmi.representation.DIMTransformer` tell an image's own places from those of the
other images of the batch, the negatives. Figure 9 of [1]_ finds that InfoNCE and Donsker and
Varadhan's bound suffer when there are few, and JSD hardly. This repeats it on digits. The batches
have 64 rows throughout, and ``n_negatives`` says with how many others each row is compared.

.. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation and
   maximization", ICLR 2019.
"""

# %%
# Three bounds, four numbers
# --------------------------
# Every encoder takes the same steps on the same batches. Information is measured on held-out rows
# with all negatives for all, since a bound from few is lower whatever the encoder. The JSD has no
# value in nats of its own: its critic is put into Donsker and Varadhan's bound, as is theirs.

import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC

from skmi.representation import DIMTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.6, random_state=0)
numbers = (1, 4, 16, 63)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for bound in ("infonce", "jsd", "dv"):
    accuracy, local = [], []
    for number in numbers:
        dim = DIMTransformer(
            16,
            bound=bound,
            gamma=0,
            n_negatives=number,
            image_shape=(8, 8),
            max_epochs=8,
            random_state=0,
        ).fit(X_train)
        svm = LinearSVC(dual=False).fit(dim.transform(X_train), y_train)
        accuracy.append(svm.score(dim.transform(X_test), y_test))
        local.append(dim.evaluate(X_test)["local"])
        print(f"{bound:8s} {number:3d}  accuracy {accuracy[-1]:.3f}  local {local[-1]:6.2f} nats")
    left.plot(numbers, accuracy, "o-", label=bound)
    right.plot(numbers, local, "o-", label=bound)
left.set_ylabel("accuracy of a linear classifier")
right.set_ylabel("local information in nats")
right.axhline(0, color="black", linewidth=0.8)
for axis in (left, right):
    axis.set_xscale("log", base=2)
    axis.set_xticks(numbers, numbers)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("other rows that each is compared with")
left.legend()
plt.show()

# %%
# In information two of the three gain by negatives, as in the paper: from one other row to all 63,
# InfoNCE goes from 0.81 to 1.17 nats, and dv from 0.37 to more than 0.7. JSD stays between 0.6 and
# 0.7: it is content with few. In accuracy they hardly differ: nearly all lie between 0.88 and 0.92,
# one seed, with a standard error of about 0.01.
