"""Does variant B change the time on a page, when users come back many times?

Rows of a user are alike. A test that counts rows as if they were independent says yes too often; a random intercept of the user
does not. The data are simulated without any effect, a hundred times.
"""

import numpy as np

import ranef


def visits(rng: np.random.Generator) -> dict:
    user = np.repeat(np.arange(120), 1 + rng.poisson(5, 120))
    level = rng.normal(0, 0.6, 120)[user]
    seconds = np.exp(3 + level + rng.normal(0, 0.5, len(user)))
    return {"seconds": seconds, "variant": np.array(["A", "B"])[user % 2], "user": user}


def main() -> None:
    rng = np.random.default_rng(7)
    found = {"rows": 0, "users": 0}
    for _ in range(100):
        data = visits(rng)
        found["rows"] += ranef.lm("log(seconds) ~ variant", data).pvalues["variant[T.B]"] < 0.05
        found["users"] += ranef.lmm("log(seconds) ~ variant + (1 | user)", data).pvalues["variant[T.B]"] < 0.05
    print("False findings in 100 tests at 5 %")
    print(f"  rows taken as independent   {found['rows']}")
    print(f"  a random intercept by user  {found['users']}")

    m = ranef.lmm("log(seconds) ~ variant + (1 | user)", data)
    print(ranef.emmeans(m, "variant", type="response").contrast("revpairwise").confint(), end="\n\n")
    print(ranef.design_effect(m))


if __name__ == "__main__":
    main()
