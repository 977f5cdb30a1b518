from t0native.prompts.check import *
